{{/*
Values of the predictor that shape its pod and not its container, with their defaults as in values.yaml: whatever differs has
been asked for. In the operator's pod they have no place, and validation/sidecar.yaml refuses them.
*/}}
{{- define "tidecast.predictor.ofItsPod" -}}
affinity: {}
annotations: {}
nodeSelector: {kubernetes.io/os: linux}
podAnnotations: {}
podLabels: {}
podSecurityContext:
  runAsNonRoot: true
  runAsUser: 20001
  runAsGroup: 20001
  fsGroup: 20001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
priorityClassName: ""
readinessProbe: {periodSeconds: 10, timeoutSeconds: 10, failureThreshold: 3}
runtimeClassName: ""
serviceAccount: {name: "", annotations: {}}
strategy:
  type: RollingUpdate
  rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
terminationGracePeriodSeconds: 30
tolerations: []
{{- end }}
