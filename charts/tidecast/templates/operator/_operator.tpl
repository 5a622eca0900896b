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
{{- if eq (include "tidecast.answering" .) "operator" }}
{{- include "tidecast.outlets.args" . }}
{{- end }}
{{- if include "tidecast.hasRelay" . }}
- --relay-address=0.0.0.0:8502
{{- if eq (include "tidecast.answering" .) "operator" }}
- --relay-target={{ include "tidecast.relayTarget" . }}
{{- end }}
{{- include "tidecast.relay.tlsArgs" . }}
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
{{- include "tidecast.operatorCertificate.mount" . }}
{{- if eq (include "tidecast.answering" .) "operator" }}
{{- include "tidecast.outlets.mounts" . }}
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
{{- include "tidecast.operatorCertificate.volume" . }}
{{- if eq (include "tidecast.answering" .) "operator" }}
{{- include "tidecast.outlets.volumes" . }}
{{- end }}
{{- with .Values.operator.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
