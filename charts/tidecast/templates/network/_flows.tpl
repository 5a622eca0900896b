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
