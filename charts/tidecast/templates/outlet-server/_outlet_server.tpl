{{/* What the outlet server is told. */}}

{{- define "tidecast.outletServer.args" -}}
- serve
- --http-address=0.0.0.0:8080
- --log-level={{ .Values.operator.logLevel }}
- --relay-target={{ include "tidecast.relayTarget" . }}
{{- include "tidecast.relay.tlsArgs" . }}
{{- include "tidecast.outlets.args" . }}
{{- range .Values.outletServer.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
