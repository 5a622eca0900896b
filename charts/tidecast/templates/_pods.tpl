{{/* Parts of pods that all of them share. */}}

{{/* An image. Takes: root, image, and if wanted suffix (of the tag that follows from the chart). */}}
{{- define "tidecast.image" -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $tag := .image.tag | default (printf "%s%s" .root.Chart.AppVersion (.suffix | default "")) -}}
{{- with $registry }}{{ . }}/{{ end }}{{ .image.repository }}:{{ $tag }}{{ with .image.digest }}@{{ . }}{{ end }}
{{- end }}

{{/* Where a pod runs, and as whom. Takes: root, pod (the values of operator or predictor), component. */}}
{{- define "tidecast.placement" -}}
enableServiceLinks: false
{{- with concat (.root.Values.global.imagePullSecrets | default list) (.root.Values.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .pod.podSecurityContext | nindent 2 }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .runtimeClassName | default .pod.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with merge dict (.nodeSelector | default dict) (.pod.nodeSelector | default dict) }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (.pod.tolerations | default list) (.tolerations | default list) }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Spread over nodes; a constraint without a selector means the pods of the component. Takes: root, pod, component. */}}
{{- define "tidecast.spread" -}}
{{- $selector := dict "matchLabels" (include "tidecast.selectorLabels" . | fromYaml) -}}
{{- range .pod.topologySpreadConstraints }}
{{- $constraint := deepCopy . }}
{{- if not $constraint.labelSelector }}{{ $_ := set $constraint "labelSelector" $selector }}{{ end }}
- {{ toYaml $constraint | nindent 2 | trim }}
{{- end }}
{{- end }}

{{/*
The labels and annotations of a pod. Nothing here changes with the chart's version alone: that would restart pods, and a
predictor without a volume would forget. Takes: root, pod, component.
*/}}
{{- define "tidecast.podMetadata" -}}
labels:
  {{- $mesh := ternary (dict "sidecar.istio.io/inject" "false") dict (has .component (list "clean-up" "test")) }}
  {{- toYaml (merge dict (include "tidecast.selectorLabels" . | fromYaml) $mesh (.pod.podLabels | default dict) (.root.Values.commonLabels | default dict) (dict "app.kubernetes.io/part-of" "tidecast")) | nindent 2 }}
{{- $mesh = ternary (dict "sidecar.istio.io/inject" "false" "linkerd.io/inject" "disabled") dict (has .component (list "clean-up" "test")) }}
{{- with merge dict $mesh (.annotations | default dict) (.pod.podAnnotations | default dict) (.root.Values.commonAnnotations | default dict) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A probe over HTTP. Takes: path, port, settings. */}}
{{- define "tidecast.probe" -}}
httpGet:
  path: {{ .path }}
  port: {{ .port }}
{{ toYaml .settings }}
{{- end }}

{{/* The operator's access to the API server, in its own container alone: a sidecar gets none of it. */}}
{{- define "tidecast.tokenVolume" -}}
- name: token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3607
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end }}

{{/* A Secret as a folder; the group of the pod may read it. Takes: name, secret. */}}
{{- define "tidecast.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}
