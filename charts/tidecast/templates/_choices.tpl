{{/* What follows from the values. Each says "true" or nothing, so that `if include ...` reads well. */}}

{{- define "tidecast.isSidecar" -}}
{{- if eq .Values.predictor.mode "sidecar" -}}true{{- end -}}
{{- end }}

{{- define "tidecast.isNamespaced" -}}
{{- if .Values.namespaces -}}true{{- end -}}
{{- end }}

{{/* The component whose pods answer autoscalers. */}}
{{- define "tidecast.answering" -}}
{{ ternary "outlet-server" "operator" .Values.outletServer.enabled }}
{{- end }}

{{/* Whoever answers autoscalers and does not lead has to follow the one that does. */}}
{{- define "tidecast.hasRelay" -}}
{{- if and (or .Values.outletServer.enabled (gt (int .Values.operator.replicas) 1)) (or .Values.keda.enabled .Values.metricsApi.enabled) -}}true{{- end -}}
{{- end }}

{{/* The connection to a predictor in the same pod never leaves it. */}}
{{- define "tidecast.predictorTls" -}}
{{- if and .Values.tls.enabled (not (include "tidecast.isSidecar" .)) -}}true{{- end -}}
{{- end }}

{{- define "tidecast.kedaUsesOwnCertificate" -}}
{{- if and .Values.keda.enabled .Values.keda.tls.enabled (not .Values.keda.tls.existingSecret) -}}true{{- end -}}
{{- end }}

{{- define "tidecast.metricsApiUsesOwnCertificate" -}}
{{- if and .Values.metricsApi.enabled (not .Values.metricsApi.tls.existingSecret) -}}true{{- end -}}
{{- end }}

{{/* The operator's certificate: a client's for the predictor and the relay, a server's for all its own ports. */}}
{{- define "tidecast.hasOperatorCertificate" -}}
{{- if or (include "tidecast.predictorTls" .) (and .Values.tls.enabled (include "tidecast.hasRelay" .)) (include "tidecast.kedaUsesOwnCertificate" .) (include "tidecast.metricsApiUsesOwnCertificate" .) -}}true{{- end -}}
{{- end }}

{{- define "tidecast.operatorIssues" -}}
{{- if and (include "tidecast.hasOperatorCertificate" .) (not .Values.tls.certManager.enabled) -}}true{{- end -}}
{{- end }}

{{- define "tidecast.certManagerIssues" -}}
{{- if and (include "tidecast.hasOperatorCertificate" .) .Values.tls.certManager.enabled -}}true{{- end -}}
{{- end }}

{{/* Without an issuer of the user's own, cert-manager gets one of this release. */}}
{{- define "tidecast.hasOwnIssuer" -}}
{{- if and (include "tidecast.certManagerIssues" .) (not .Values.tls.certManager.issuerRef) -}}true{{- end -}}
{{- end }}

{{/* The APIServices that are asked for, parted by commas. */}}
{{- define "tidecast.apiServices" -}}
{{- $names := list -}}
{{- if .Values.metricsApi.enabled -}}
{{- if .Values.metricsApi.external.enabled }}{{ $names = append $names "v1beta1.external.metrics.k8s.io" }}{{ end -}}
{{- if .Values.metricsApi.custom.enabled }}{{ $names = append $names "v1beta2.custom.metrics.k8s.io" }}{{ end -}}
{{- end -}}
{{ join "," $names }}
{{- end }}

{{/* The operator writes the caBundle of its own authority; cert-manager does it for its own. */}}
{{- define "tidecast.injectsCa" -}}
{{- if and (include "tidecast.operatorIssues" .) (include "tidecast.metricsApiUsesOwnCertificate" .) (include "tidecast.apiServices" .) -}}true{{- end -}}
{{- end }}

{{/* The hook has something to give back. In namespaced mode the Forecaster is only a file. */}}
{{- define "tidecast.cleansUp" -}}
{{- if and .Values.cleanUp.enabled (or .Values.hpaFloors.enabled (and .Values.forecaster.create (not (include "tidecast.isNamespaced" .)))) -}}true{{- end -}}
{{- end }}

{{- define "tidecast.persists" -}}
{{- if or .Values.predictor.persistence.enabled .Values.predictor.persistence.existingClaim -}}true{{- end -}}
{{- end }}

{{/* The names of the Secrets in the release's namespace that hold credentials for Prometheus, as a list. */}}
{{- define "tidecast.prometheusSecrets" -}}
{{- $names := .Values.rbac.secretNames -}}
{{- if .Values.forecaster.create -}}
{{- $reference := dig "prometheus" "authSecretRef" "name" "" .Values.forecaster.spec -}}
{{- if $reference }}{{ $names = append $names $reference }}{{ end -}}
{{- end -}}
{{ $names | uniq | toJson }}
{{- end }}
