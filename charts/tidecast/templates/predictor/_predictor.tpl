{{/* The predictor's container and its volumes, in a pod of its own or in the operator's. */}}

{{- define "tidecast.predictor.args" -}}
{{- $spec := ternary .Values.forecaster.spec dict .Values.forecaster.create -}}
- --log-level={{ .Values.predictor.logLevel }}
- serve
- --address={{ ternary "127.0.0.1" "0.0.0.0" (eq .Values.predictor.mode "sidecar") }}:8500
- --http-address=0.0.0.0:8501
- --data-dir=/data
- --device={{ ternary "cuda" "cpu" .Values.predictor.gpu.enabled }}
- --training-seconds={{ int .Values.predictor.trainingSeconds }}
- --training-threads={{ int .Values.predictor.trainingThreads }}
- --retrain-seconds={{ int .Values.predictor.retrainSeconds }}
{{- with $spec.windowSteps }}
- --window-steps={{ int . }}
{{- end }}
{{- with $spec.horizonSteps }}
- --horizon-steps={{ int . }}
{{- end }}
{{- with ($spec.training | default dict).historySeconds }}
- --history-seconds={{ int . }}
{{- end }}
{{- with ($spec.training | default dict).minimumHistorySeconds }}
- --minimum-history-seconds={{ int . }}
{{- end }}
{{- if include "tidecast.predictorTls" . }}
- --tls-folder=/etc/tidecast/tls
{{- end }}
{{- range .Values.predictor.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Requests and limits, with the accelerator where one is asked for. */}}
{{- define "tidecast.predictor.resources" -}}
{{- $gpu := .Values.predictor.gpu -}}
{{- $resources := deepCopy .Values.predictor.resources -}}
{{- if and $gpu.enabled (not $gpu.resourceClaims) -}}
{{- $_ := set $resources "limits" (merge (dict $gpu.resourceName (toString $gpu.count)) ($resources.limits | default dict)) -}}
{{- end -}}
{{- if and $gpu.enabled $gpu.resourceClaims -}}
{{- $claims := list -}}
{{- range $gpu.resourceClaims }}{{ $claims = append $claims (dict "name" .name) }}{{ end -}}
{{- $_ := set $resources "claims" $claims -}}
{{- end -}}
{{ toYaml $resources }}
{{- end }}

{{- define "tidecast.predictor.container" -}}
{{- $predictor := .Values.predictor -}}
{{- $isSidecar := include "tidecast.isSidecar" . -}}
- name: predictor
  image: {{ include "tidecast.image" (dict "root" . "image" $predictor.image "suffix" (ternary "-cuda" "" $predictor.gpu.enabled)) }}
  imagePullPolicy: {{ $predictor.image.pullPolicy }}
  args:
    {{- include "tidecast.predictor.args" . | nindent 4 }}
  env:
    # Libraries count the processors of the node; these are what the container has.
    - name: OMP_NUM_THREADS
      valueFrom:
        resourceFieldRef: {containerName: predictor, resource: limits.cpu, divisor: "1"}
    {{- range tuple "HOME" "XDG_CACHE_HOME" "TORCHINDUCTOR_CACHE_DIR" "TRITON_CACHE_DIR" }}
    - {name: {{ . }}, value: /tmp}
    {{- end }}
    {{- with $predictor.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    {{- if not $isSidecar }}
    - {name: grpc, protocol: TCP, containerPort: 8500}
    {{- end }}
    - {name: predictor-http, protocol: TCP, containerPort: 8501}
  startupProbe:
    {{- include "tidecast.probe" (dict "path" "/healthz" "port" "predictor-http" "settings" $predictor.startupProbe) | nindent 4 }}
  livenessProbe:
    {{- include "tidecast.probe" (dict "path" "/healthz" "port" "predictor-http" "settings" $predictor.livenessProbe) | nindent 4 }}
  {{- if not $isSidecar }}
  {{- /* In the operator's pod it would take the operator out of its Services: there the operator says so itself. */}}
  readinessProbe:
    {{- include "tidecast.probe" (dict "path" "/readyz" "port" "predictor-http" "settings" $predictor.readinessProbe) | nindent 4 }}
  {{- end }}
  resources:
    {{- include "tidecast.predictor.resources" . | nindent 4 }}
  securityContext:
    {{- toYaml $predictor.containerSecurityContext | nindent 4 }}
  volumeMounts:
    - {name: {{ ternary "predictor-tmp" "tmp" (eq $predictor.mode "sidecar") }}, mountPath: /tmp}
    - {name: data, mountPath: /data}
    {{- if include "tidecast.predictorTls" . }}
    - {name: tls, mountPath: /etc/tidecast/tls, readOnly: true}
    {{- end }}
    {{- if and $predictor.gpu.enabled $predictor.gpu.sharedMemory.enabled }}
    - {name: shared-memory, mountPath: /dev/shm}
    {{- end }}
    {{- with $predictor.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "tidecast.predictor.volumes" -}}
{{- $predictor := .Values.predictor -}}
- name: {{ ternary "predictor-tmp" "tmp" (eq $predictor.mode "sidecar") }}
  emptyDir: {sizeLimit: 1Gi}
- name: data
  {{- if include "tidecast.persists" . }}
  persistentVolumeClaim: {claimName: {{ $predictor.persistence.existingClaim | default (printf "%s-predictor" (include "tidecast.fullname" .)) }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ $predictor.persistence.size }}}
  {{- end }}
{{- if include "tidecast.predictorTls" . }}
{{ include "tidecast.secretVolume" (dict "name" "tls" "secret" (include "tidecast.tlsSecret" (dict "root" . "suffix" "predictor-tls"))) }}
{{- end }}
{{- if and $predictor.gpu.enabled $predictor.gpu.sharedMemory.enabled }}
- name: shared-memory
  emptyDir: {medium: Memory, sizeLimit: {{ $predictor.gpu.sharedMemory.sizeLimit }}}
{{- end }}
{{- with $predictor.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
