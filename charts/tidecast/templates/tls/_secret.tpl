{{/*
A Secret that the operator fills. It has no data here, so that Helm owns none: an upgrade or a rollback leaves
certificates as they are. Takes: root, suffix, component.
*/}}
{{- define "tidecast.emptySecret" -}}
apiVersion: v1
kind: Secret
{{ include "tidecast.metadata" . }}
type: Opaque
{{- end }}

{{/* A Certificate of cert-manager. Takes: root, suffix, component, hosts. */}}
{{- define "tidecast.certificate" -}}
{{- $root := .root -}}
{{- $certManager := $root.Values.tls.certManager -}}
{{- $own := dict "kind" "Issuer" "name" (printf "%s-authority" (include "tidecast.fullname" $root)) -}}
apiVersion: cert-manager.io/v1
kind: Certificate
{{ include "tidecast.metadata" . }}
spec:
  secretName: {{ include "tidecast.tlsSecret" . }}
  duration: {{ $certManager.duration }}
  renewBefore: {{ $certManager.renewBefore }}
  dnsNames:
    {{- range splitList "," .hosts }}
    - {{ . | quote }}
    {{- end }}
  usages: [digital signature, server auth, client auth]
  privateKey: {algorithm: ECDSA, size: 256, rotationPolicy: Always}
  issuerRef:
    {{- toYaml ($certManager.issuerRef | default $own) | nindent 4 }}
{{- end }}
