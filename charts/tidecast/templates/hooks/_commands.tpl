{{/* Commands of the operator that run once: at an uninstall, and at `helm test`. */}}

{{- define "tidecast.cleanUp.args" -}}
- clean-up
- --log-level={{ .Values.operator.logLevel }}
- --lease-namespace={{ .Release.Namespace }}
{{- if .Values.hpaFloors.enabled }}
{{- range .Values.namespaces }}
- --namespace={{ . }}
{{- end }}
{{- else }}
- --without-floors
{{- end }}
{{- if and .Values.forecaster.create (not (include "tidecast.isNamespaced" .)) }}
- --with-forecaster
{{- end }}
{{- end }}

{{- define "tidecast.check.args" -}}
- check
- --log-level={{ .Values.operator.logLevel }}
- --namespace={{ .Release.Namespace }}
- --timeout-seconds={{ int .Values.check.timeoutSeconds }}
{{- with .Values.namespaces }}
- --watch-namespaces={{ join "," . }}
- --forecaster-file=/etc/tidecast/forecaster/forecaster.yaml
{{- if $.Values.hpaFloors.enabled }}
- --hpa-floors
{{- end }}
{{- else }}
{{- with include "tidecast.apiServices" . }}
{{- range splitList "," . }}
- --api-service={{ . }}
{{- end }}
{{- end }}
{{- end }}
{{- if include "tidecast.isSidecar" . }}
- --without-predictor
{{- else if include "tidecast.predictorTls" . }}
- --predictor-tls-folder=/etc/tidecast/tls
{{- end }}
{{- end }}

{{/* What such a container has besides its command, up to the beginning of its mounts. */}}
{{- define "tidecast.shortContainer" -}}
resources:
  {{- toYaml .Values.operator.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.operator.containerSecurityContext | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end }}
