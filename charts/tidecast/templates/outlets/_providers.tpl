{{/*
A cluster has one provider of a metrics API. Somebody else's is never replaced: that would take their metrics from all of
its autoscalers. Without a cluster to look at, as with `helm template`, nothing is found.
*/}}
{{- define "tidecast.refuseForeignProviders" -}}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.external.enabled (not .Values.metricsApi.external.force) -}}
{{- include "tidecast.refuseForeign" (dict "root" . "api" "external" "name" "v1beta1.external.metrics.k8s.io") -}}
{{- end -}}
{{- if and .Values.metricsApi.enabled .Values.metricsApi.custom.enabled (not .Values.metricsApi.custom.force) -}}
{{- /* Autoscalers ask one version of the group for everything, so an older one is in the way too. */ -}}
{{- range list "v1beta1.custom.metrics.k8s.io" "v1beta2.custom.metrics.k8s.io" -}}
{{- include "tidecast.refuseForeign" (dict "root" $ "api" "custom" "name" .) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "tidecast.refuseForeign" -}}
{{- $found := lookup "apiregistration.k8s.io/v1" "APIService" "" .name -}}
{{- if $found -}}
{{- $annotations := $found.metadata.annotations | default dict -}}
{{- $release := index $annotations "meta.helm.sh/release-name" | default "" -}}
{{- $namespace := index $annotations "meta.helm.sh/release-namespace" | default "" -}}
{{- if not (and (eq $release .root.Release.Name) (eq $namespace .root.Release.Namespace)) -}}
{{- $service := $found.spec.service | default dict -}}
{{- fail (printf "metricsApi.%s.enabled: %s is served by %s/%s already, and its autoscalers would lose their metrics: set metricsApi.%s.enabled to false and use hpaFloors, keda or Prometheus; or delete the APIService first; or take it over with metricsApi.%s.force" .api .name ($service.namespace | default "-") ($service.name | default "the API server itself") .api .api) -}}
{{- end -}}
{{- end -}}
{{- end }}
