{{/*
What the pods that answer autoscalers are told and shown, whichever component they are of. Each may be empty, and begins with
a line end otherwise.
*/}}

{{- define "tidecast.outlets.args" -}}
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
{{- end }}

{{- define "tidecast.outlets.ports" -}}
{{- if .Values.keda.enabled }}
- {name: keda, protocol: TCP, containerPort: 8600}
{{- end }}
{{- if .Values.metricsApi.enabled }}
- {name: metrics-api, protocol: TCP, containerPort: 8443}
{{- end }}
{{- end }}

{{- define "tidecast.outlets.mounts" -}}
{{- if and .Values.keda.enabled .Values.keda.tls.enabled .Values.keda.tls.existingSecret }}
- {name: keda-tls, mountPath: /etc/tidecast/keda-tls, readOnly: true}
{{- end }}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.tls.existingSecret }}
- {name: metrics-api-tls, mountPath: /etc/tidecast/metrics-api-tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "tidecast.outlets.volumes" -}}
{{- if and .Values.keda.enabled .Values.keda.tls.enabled .Values.keda.tls.existingSecret }}
{{ include "tidecast.secretVolume" (dict "name" "keda-tls" "secret" .Values.keda.tls.existingSecret) }}
{{- end }}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.tls.existingSecret }}
{{ include "tidecast.secretVolume" (dict "name" "metrics-api-tls" "secret" .Values.metricsApi.tls.existingSecret) }}
{{- end }}
{{- end }}

{{/* The certificate of both ends of the relay. */}}
{{- define "tidecast.relay.tlsArgs" -}}
{{- if include "tidecast.hasOperatorCertificate" . }}
- --relay-tls-certificate=/etc/tidecast/tls/tls.crt
- --relay-tls-key=/etc/tidecast/tls/tls.key
- --relay-tls-authority=/etc/tidecast/tls/ca.crt
{{- end }}
{{- end }}

{{- define "tidecast.operatorCertificate.mount" -}}
{{- if include "tidecast.hasOperatorCertificate" . }}
- {name: tls, mountPath: /etc/tidecast/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "tidecast.operatorCertificate.volume" -}}
{{- if include "tidecast.hasOperatorCertificate" . }}
{{ include "tidecast.secretVolume" (dict "name" "tls" "secret" (include "tidecast.tlsSecret" (dict "root" . "suffix" "operator-tls"))) }}
{{- end }}
{{- end }}
