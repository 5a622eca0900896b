{{/* Names of objects, and the labels by which they are found. */}}

{{- define "tidecast.name" -}}
{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimAll "-." }}
{{- end }}

{{/*
The beginning of every name; short enough for the longest suffix. A release's name may have dots, that of a Service none.
What a Service may not be called all the same is refused in validation/names.yaml.
*/}}
{{- define "tidecast.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tidecast.name" .) .Release.Name -}}
{{ .Release.Name | replace "." "-" | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name (include "tidecast.name" .) | replace "." "-" | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{/* The labels of a component's pods, which never change. Takes: root, component. */}}
{{- define "tidecast.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tidecast.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* All labels of an object. Takes: root, component. */}}
{{- define "tidecast.labels" -}}
{{- $fixed := include "tidecast.selectorLabels" . | fromYaml -}}
{{- $_ := set $fixed "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- $_ := set $fixed "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge dict $fixed (.labels | default dict) (.root.Values.commonLabels | default dict) (dict "app.kubernetes.io/part-of" "tidecast")) }}
{{- end }}

{{/*
The metadata of an object. Takes: root, component, suffix (of the name) or name; and if wanted namespace ("" for none),
labels and annotations.
*/}}
{{- define "tidecast.metadata" -}}
{{- $annotations := merge dict (.annotations | default dict) (.root.Values.commonAnnotations | default dict) -}}
{{- $namespace := ternary .namespace .root.Release.Namespace (hasKey . "namespace") -}}
metadata:
  name: {{ .name | default (printf "%s-%s" (include "tidecast.fullname" .root) .suffix) }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "tidecast.labels" . | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The service accounts. */}}
{{- define "tidecast.operator.serviceAccountName" -}}
{{ .Values.operator.serviceAccount.name | default (ternary (printf "%s-operator" (include "tidecast.fullname" .)) "default" .Values.operator.serviceAccount.create) }}
{{- end }}

{{- define "tidecast.predictor.serviceAccountName" -}}
{{ .Values.predictor.serviceAccount.name | default (ternary (printf "%s-predictor" (include "tidecast.fullname" .)) "default" .Values.predictor.serviceAccount.create) }}
{{- end }}

{{- define "tidecast.outletServer.serviceAccountName" -}}
{{ .Values.outletServer.serviceAccount.name | default (ternary (printf "%s-outlet-server" (include "tidecast.fullname" .)) "default" .Values.outletServer.serviceAccount.create) }}
{{- end }}

{{/* The subject of a binding. */}}
{{- define "tidecast.operator.subject" -}}
- kind: ServiceAccount
  name: {{ include "tidecast.operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "tidecast.outletServer.subject" -}}
- kind: ServiceAccount
  name: {{ include "tidecast.outletServer.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The Secret of a certificate. cert-manager fills another one than the operator: neither could take over the other's. Takes: root, suffix. */}}
{{- define "tidecast.tlsSecret" -}}
{{ include "tidecast.fullname" .root }}-{{ .suffix }}{{ if .root.Values.tls.certManager.enabled }}-cert-manager{{ end }}
{{- end }}

{{/* The host of a Service as the certificates name it. Takes: root, suffix. */}}
{{- define "tidecast.host" -}}
{{ include "tidecast.fullname" .root }}-{{ .suffix }}.{{ .root.Release.Namespace }}.svc
{{- end }}

{{/* Where the operator finds the predictor. */}}
{{- define "tidecast.predictorAddress" -}}
{{ ternary "127.0.0.1" (include "tidecast.host" (dict "root" . "suffix" "predictor")) (eq .Values.predictor.mode "sidecar") }}:8500
{{- end }}

{{/* Where whoever leads is found. */}}
{{- define "tidecast.relayTarget" -}}
{{ include "tidecast.host" (dict "root" . "suffix" "relay") }}:8502
{{- end }}

{{/* All names under which a Service is known, parted by commas. Takes: root, suffix. */}}
{{- define "tidecast.hosts" -}}
{{- $short := printf "%s-%s" (include "tidecast.fullname" .root) .suffix -}}
{{- $namespaced := printf "%s.%s" $short .root.Release.Namespace -}}
{{ $short }},{{ $namespaced }},{{ $namespaced }}.svc,{{ $namespaced }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{/* The names of all Services that the operator answers under, parted by commas. */}}
{{- define "tidecast.operatorHosts" -}}
{{- $hosts := list -}}
{{- range list "operator" "relay" "keda" "metrics-api" -}}
{{- $hosts = append $hosts (include "tidecast.hosts" (dict "root" $ "suffix" .)) -}}
{{- end -}}
{{ join "," (concat $hosts .Values.tls.extraDnsNames) }}
{{- end }}

{{/* The same of the predictor. */}}
{{- define "tidecast.predictorHosts" -}}
{{ join "," (concat (list (include "tidecast.hosts" (dict "root" . "suffix" "predictor"))) .Values.tls.extraDnsNames) }}
{{- end }}
