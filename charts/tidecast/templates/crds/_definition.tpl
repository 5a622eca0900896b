{{/*
A definition as it stands in files/crds, with the annotations and labels of this release. The text is taken as it is and
never parsed as a template; only for an API server that does not know all of it, and whose description Helm would hold
against it, parts are left out. The operator checks the same rules itself. Takes: root, file.
*/}}
{{- define "tidecast.definition" -}}
{{- $annotations := dict -}}
{{- if .root.Values.crds.keep }}{{ $annotations = dict "helm.sh/resource-policy" "keep" }}{{ end -}}
{{- $annotations = merge dict $annotations .root.Values.crds.annotations (.root.Values.commonAnnotations | default dict) -}}
{{- $labels := include "tidecast.labels" (dict "root" .root "component" "definitions") | nindent 4 -}}
{{- $more := "" -}}
{{- with $annotations }}{{ $more = printf "\n  annotations:%s" (toYaml . | nindent 4) }}{{ end -}}
{{- $head := "\n  labels:\n    app.kubernetes.io/name: tidecast\n" -}}
{{- $text := .root.Files.Get .file -}}
{{- if not (contains $head $text) }}{{ fail (printf "%s does not have the head that is expected; run scripts/sync-chart.py" .file) }}{{ end -}}
{{- $text = $text | replace $head (printf "\n  labels:%s%s\n" $labels $more) -}}
{{- $unknown := list -}}
{{- if semverCompare "<1.25-0" .root.Capabilities.KubeVersion.Version }}{{ $unknown = append $unknown "x-kubernetes-validations" }}{{ end -}}
{{- if semverCompare "<1.30-0" .root.Capabilities.KubeVersion.Version }}{{ $unknown = append $unknown "selectableFields" }}{{ end -}}
{{- if $unknown -}}
{{- $definition := fromYaml $text -}}
{{- include "tidecast.leaveOut" (dict "from" $definition "keys" $unknown) -}}
{{ toYaml $definition }}
{{- else -}}
{{ $text }}
{{- end -}}
{{- end }}

{{/* Takes keys out of an object, wherever in it they are. Takes: from, keys. */}}
{{- define "tidecast.leaveOut" -}}
{{- $keys := .keys -}}
{{- if kindIs "map" .from -}}
{{- range $key := $keys }}{{ $_ := unset $.from $key }}{{ end -}}
{{- range .from }}{{ include "tidecast.leaveOut" (dict "from" . "keys" $keys) }}{{ end -}}
{{- else if kindIs "slice" .from -}}
{{- range .from }}{{ include "tidecast.leaveOut" (dict "from" . "keys" $keys) }}{{ end -}}
{{- end -}}
{{- end }}
