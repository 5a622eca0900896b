{{/* An APIService of the metrics API. Takes: root, group, version, versionPriority. */}}
{{- define "tidecast.apiService" -}}
{{- $root := .root -}}
{{- $tls := $root.Values.metricsApi.tls -}}
{{- $annotations := dict -}}
{{- if include "tidecast.certManagerIssues" $root -}}
{{- if not $tls.existingSecret -}}
{{- $annotations = dict "cert-manager.io/inject-ca-from" (printf "%s/%s-operator-tls" $root.Release.Namespace (include "tidecast.fullname" $root)) -}}
{{- end -}}
{{- end -}}
apiVersion: apiregistration.k8s.io/v1
kind: APIService
{{ include "tidecast.metadata" (dict "root" $root "component" (include "tidecast.answering" $root) "name" (printf "%s.%s" .version .group) "namespace" "" "annotations" (merge dict $annotations $root.Values.metricsApi.apiServiceAnnotations)) }}
spec:
  group: {{ .group }}
  version: {{ .version }}
  groupPriorityMinimum: 100
  versionPriority: {{ .versionPriority }}
  {{- if $tls.existingSecret }}
  {{- with $tls.caBundle }}
  caBundle: {{ . }}
  {{- end }}
  {{- end }}
  service:
    name: {{ include "tidecast.fullname" $root }}-metrics-api
    namespace: {{ $root.Release.Namespace }}
    port: 443
{{- end }}
