{{/* Pieces of the flows that are let through; everything else is refused. */}}

{{/* Ports as a NetworkPolicy has them. Takes: a list of numbers. */}}
{{- define "tidecast.tcp" -}}
ports:
{{- range . }}
  - {protocol: TCP, port: {{ int . }}}
{{- end }}
{{- end }}

{{/* Peers that are blocks of addresses. Takes: the key (from or to), cidrs. */}}
{{- define "tidecast.blocks" -}}
{{- if .cidrs -}}
{{ .key }}:
{{- range .cidrs }}
  - ipBlock: {cidr: {{ . }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The pods of components of this release. Takes: root, components (a list). */}}
{{- define "tidecast.pods" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ include "tidecast.name" .root }}
      app.kubernetes.io/instance: {{ .root.Release.Name }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ toJson .components }}}
{{- end }}

{{/* Whoever scrapes: those of the values, or all pods of the cluster. */}}
{{- define "tidecast.scrapers" -}}
{{- toYaml (.Values.networkPolicy.prometheus.peers | default (list (dict "namespaceSelector" dict))) }}
{{- end }}

{{/* The ports of Prometheus: those of the values, or the one in its address. */}}
{{- define "tidecast.prometheusPorts" -}}
{{- if .Values.networkPolicy.prometheus.ports -}}
{{ toJson .Values.networkPolicy.prometheus.ports }}
{{- else -}}
{{- $url := urlParse (dig "prometheus" "url" "" .Values.forecaster.spec) -}}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) -}}
[{{ $port }}]
{{- end -}}
{{- end }}

{{/* Autoscalers ask; rules of the pods that answer them. */}}
{{- define "tidecast.autoscalersEnter" -}}
{{- $policy := .Values.networkPolicy -}}
{{- if .Values.keda.enabled }}
# KEDA asks.
- from:
    {{- toYaml $policy.keda.peers | nindent 4 }}
  {{- include "tidecast.tcp" (list 8600) | nindent 2 }}
{{- end }}
{{- if .Values.metricsApi.enabled }}
# The API server asks; it is no pod. Whoever else connects has no certificate of its front proxy, and is refused.
- {{- with include "tidecast.blocks" (dict "key" "from" "cidrs" ($policy.apiServer.clientCidrs | default $policy.apiServer.cidrs)) }}{{ . | nindent 2 }}{{ end }}
  {{- include "tidecast.tcp" (list 8443) | nindent 2 }}
{{- end }}
{{- end }}

{{/* The API server is asked. */}}
{{- define "tidecast.toApiServer" -}}
- {{- with include "tidecast.blocks" (dict "key" "to" "cidrs" .Values.networkPolicy.apiServer.cidrs) }}{{ . | nindent 2 }}{{ end }}
  {{- include "tidecast.tcp" .Values.networkPolicy.apiServer.ports | nindent 2 }}
{{- end }}

{{/* Names are asked. */}}
{{- define "tidecast.toNames" -}}
- ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ int . }}}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
{{- end }}

{{/* The operator's replicas are followed. */}}
{{- define "tidecast.toRelay" -}}
- to:
    {{- include "tidecast.pods" (dict "root" . "components" (list "operator")) | nindent 4 }}
  {{- include "tidecast.tcp" (list 8502) | nindent 2 }}
{{- end }}
