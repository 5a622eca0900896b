{{/* What the operator is told, and what it gets to see of files. */}}

{{- define "tidecast.operator.args" -}}
- run
- --http-address=0.0.0.0:8080
- --namespace={{ .Release.Namespace }}
- --log-level={{ .Values.operator.logLevel }}
- --state-folder=/state
- --metrics-services-limit={{ int .Values.operator.metricsServicesLimit }}
{{- with .Values.namespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- if .Values.forecaster.create }}
- --forecaster-file=/etc/tidecast/forecaster/forecaster.yaml
{{- end }}
{{- if .Values.hpaFloors.enabled }}
- --hpa-floors
{{- end }}
{{- if include "tidecast.predictorTls" . }}
- --predictor-tls-folder=/etc/tidecast/tls
{{- end }}
{{- if include "tidecast.operatorIssues" . }}
- --issue-authority={{ include "tidecast.fullname" . }}-authority
- --issue-certificate={{ include "tidecast.fullname" . }}-operator-tls={{ include "tidecast.operatorHosts" . }}
{{- if include "tidecast.predictorTls" . }}
- --issue-certificate={{ include "tidecast.fullname" . }}-predictor-tls={{ include "tidecast.predictorHosts" . }}
{{- end }}
{{- end }}
{{- if include "tidecast.injectsCa" . }}
{{- range splitList "," (include "tidecast.apiServices" .) }}
- --inject-ca={{ . }}
{{- end }}
{{- end }}
{{- if .Values.keda.enabled }}
- --keda-address=0.0.0.0:8600
{{- if .Values.keda.tls.enabled }}
{{- $folder := ternary "/etc/tidecast/keda-tls" "/etc/tidecast/tls" (not (empty .Values.keda.tls.existingSecret)) }}
- --keda-tls-certificate={{ $folder }}/tls.crt
- --keda-tls-key={{ $folder }}/tls.key
{{- if .Values.keda.tls.verifyClients }}
- --keda-tls-client-ca={{ $folder }}/ca.crt
{{- end }}
{{- end }}
{{- end }}
{{- if .Values.metricsApi.enabled }}
- --metrics-api-address=0.0.0.0:8443
- --metrics-api-tls-folder={{ ternary "/etc/tidecast/metrics-api-tls" "/etc/tidecast/tls" (not (empty .Values.metricsApi.tls.existingSecret)) }}
{{- end }}
{{- if include "tidecast.hasRelay" . }}
- --relay-address=0.0.0.0:8502
- --relay-target={{ include "tidecast.host" (dict "root" . "suffix" "relay") }}:8502
{{- if include "tidecast.hasOperatorCertificate" . }}
- --relay-tls-certificate=/etc/tidecast/tls/tls.crt
- --relay-tls-key=/etc/tidecast/tls/tls.key
- --relay-tls-authority=/etc/tidecast/tls/ca.crt
{{- end }}
{{- end }}
{{- range .Values.operator.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "tidecast.operator.mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: state, mountPath: /state}
{{- if include "tidecast.isSidecar" . }}
- {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end }}
{{- if .Values.forecaster.create }}
- {name: forecaster, mountPath: /etc/tidecast/forecaster, readOnly: true}
{{- end }}
{{- if include "tidecast.hasOperatorCertificate" . }}
- {name: tls, mountPath: /etc/tidecast/tls, readOnly: true}
{{- end }}
{{- if and .Values.keda.enabled .Values.keda.tls.enabled .Values.keda.tls.existingSecret }}
- {name: keda-tls, mountPath: /etc/tidecast/keda-tls, readOnly: true}
{{- end }}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.tls.existingSecret }}
- {name: metrics-api-tls, mountPath: /etc/tidecast/metrics-api-tls, readOnly: true}
{{- end }}
{{- with .Values.operator.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tidecast.operator.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: state
  emptyDir: {sizeLimit: {{ .Values.operator.state.sizeLimit }}}
{{- if include "tidecast.isSidecar" . }}
{{ include "tidecast.tokenVolume" . }}
{{- end }}
{{- if .Values.forecaster.create }}
- name: forecaster
  configMap: {name: {{ include "tidecast.fullname" . }}-forecaster}
{{- end }}
{{- if include "tidecast.hasOperatorCertificate" . }}
{{ include "tidecast.secretVolume" (dict "name" "tls" "secret" (include "tidecast.tlsSecret" (dict "root" . "suffix" "operator-tls"))) }}
{{- end }}
{{- if and .Values.keda.enabled .Values.keda.tls.enabled .Values.keda.tls.existingSecret }}
{{ include "tidecast.secretVolume" (dict "name" "keda-tls" "secret" .Values.keda.tls.existingSecret) }}
{{- end }}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.tls.existingSecret }}
{{ include "tidecast.secretVolume" (dict "name" "metrics-api-tls" "secret" .Values.metricsApi.tls.existingSecret) }}
{{- end }}
{{- with .Values.operator.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A Secret as a folder; the group of the pod may read it. Takes: name, secret. */}}
{{- define "tidecast.secretVolume" -}}
- name: {{ .name }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
{{- end }}
