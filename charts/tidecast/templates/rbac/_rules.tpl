{{/* What the operator may do; docs/permissions.md says why, line by line. */}}

{{/* Of the workloads that are watched: in the whole cluster, or in each namespace of the list. */}}
{{- define "tidecast.rules.watched" -}}
- apiGroups: [""]
  resources: [services]
  verbs: [list, watch]
- apiGroups: [apps]
  resources: [deployments, statefulsets, daemonsets]
  verbs: [list, watch]
- apiGroups: [tidecast.dev]
  resources: [serviceperformanceforecasts]
  verbs: [list, watch, create, delete]
- apiGroups: [tidecast.dev]
  resources: [serviceperformanceforecasts/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- if .Values.hpaFloors.enabled }}
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, patch]
{{- end }}
{{- end }}

{{/* Of what belongs to no namespace: in cluster mode alone. */}}
{{- define "tidecast.rules.cluster" -}}
- apiGroups: [""]
  resources: [namespaces]
  verbs: [list, watch]
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  verbs: [list, watch]
- apiGroups: [tidecast.dev]
  resources: [forecasters]
  verbs: [list, watch]
- apiGroups: [tidecast.dev]
  resources: [forecasters/status]
  verbs: [patch]
{{- if .Values.forecaster.create }}
- apiGroups: [tidecast.dev]
  resources: [forecasters]
  resourceNames: [default]
  verbs: [create, patch, delete]
{{- end }}
{{- with include "tidecast.apiServices" . }}
- apiGroups: [apiregistration.k8s.io]
  resources: [apiservices]
  resourceNames: [{{ . | replace "," ", " }}]
  verbs: [get{{ if include "tidecast.injectsCa" $ }}, patch{{ end }}]
{{- end }}
{{- end }}

{{/* Of the release's own namespace. */}}
{{- define "tidecast.rules.own" -}}
{{- $secrets := include "tidecast.prometheusSecrets" . | fromJsonArray -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [tidecast-operator]
  verbs: [get, update]
{{- with $secrets }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- if include "tidecast.operatorIssues" . }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames:
    - {{ include "tidecast.fullname" . }}-authority
    - {{ include "tidecast.fullname" . }}-operator-tls
    {{- if include "tidecast.predictorTls" . }}
    - {{ include "tidecast.fullname" . }}-predictor-tls
    {{- end }}
  verbs: [get, update]
{{- end }}
{{- end }}
