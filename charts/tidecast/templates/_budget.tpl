{{/*
Keeps pods of a component when nodes are drained. With a single replica it would only keep nodes from being drained. Takes:
root, component, replicas.
*/}}
{{- define "tidecast.disruptionBudget" -}}
{{- $budget := .root.Values.podDisruptionBudget -}}
{{- $version := .root.Capabilities.KubeVersion.Version -}}
{{- if and $budget.enabled (gt (int .replicas) 1) -}}
apiVersion: {{ ternary "policy/v1" "policy/v1beta1" (semverCompare ">=1.21-0" $version) }}
kind: PodDisruptionBudget
{{ include "tidecast.metadata" (merge (dict "suffix" .component) .) }}
spec:
  {{- if kindIs "invalid" $budget.maxUnavailable }}
  minAvailable: {{ $budget.minAvailable }}
  {{- else }}
  maxUnavailable: {{ $budget.maxUnavailable }}
  {{- end }}
  {{- if semverCompare ">=1.27-0" $version }}
  # A pod that is broken anyway must not keep a node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  {{- end }}
  selector:
    matchLabels:
      {{- include "tidecast.selectorLabels" . | nindent 6 }}
{{- end -}}
{{- end }}
