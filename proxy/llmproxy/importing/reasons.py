"""Why a key of a LiteLLM file was not carried: said once for each subject."""

from __future__ import annotations

from typing import Final

UNKNOWN: Final = "this importer does not know it"

_POLICIES: Final = "one number holds for all kinds of failures, and one strategy for all pools of this file"
_ONCE: Final = "one routing holds for all models, and what router_settings says of it counts before all else"
_TAGS: Final = "write a condition (when) on the targets of a pool instead"
_CHECKS: Final = (
    "a place that cannot take a request, its window included, is passed over without being asked to"
)
_SHARING: Final = (
    "write a Redis store, and name it as health.share of the plugin balance, so that hosts tell each other"
)
_PROBES: Final = "write health.probes of the plugin balance, which name what is asked for"
_AFFINITY: Final = "write affinity of the plugin balance"
_LIMITS: Final = (
    "write limits of the plugin quota; what is in flight at a place is bounded by limit of a pool's target"
)
_CACHE: Final = "write a store, and list the plugin cache on the route: plugins: {cache: {store: NAME}}"
_BUDGETS: Final = "has no equal: write limits of the plugin quota, and what calls cost in the section prices"
_WATCHING: Final = (
    "exporters are not there yet; the access log and Prometheus metrics are plugins (accesslog, metrics)"
)
_KEYS: Final = (
    "keys, users and teams are made anew: write database of the plugin access, then llmproxy keys create"
)
_REQUEST: Final = "a request goes out as its caller wrote it, with nothing added to it"
_GUARDS: Final = "guardrails are not there yet"
_TOOLS: Final = "tools (MCP) are not there yet"
_AWS: Final = "AWS's credentials: upstreams.NAME.auth.aws, or the environment"
_GOOGLE: Final = "Google Cloud's credentials: upstreams.NAME.auth.google, or the environment"
_AZURE: Final = (
    "of Entra ID an application with a client_secret is carried; for others write auth: entra, or a key"
)
_NEEDLESS: Final = "not needed here"

_SUBJECTS: Final = {
    _POLICIES: "model_group_retry_policy allowed_fails_policy routing_strategy_args routing_groups default_priority",
    _ONCE: """
        fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks num_retries allowed_fails
        cooldown_time retry_policy retry_after disable_cooldowns routing_strategy max_fallbacks
        """,
    _TAGS: "tags enable_tag_filtering tag_filtering_match_any",
    _CHECKS: "enable_pre_call_checks optional_pre_call_checks",
    _SHARING: "redis_host redis_port redis_password redis_url redis_db polling_interval",
    _PROBES: """
        background_health_checks health_check_interval health_check_details enable_health_check_routing
        """,
    _AFFINITY: "deployment_affinity_ttl_seconds",
    "an attempt is made once; see num_retries": "max_retries",
    "another place of the pool is tried by itself": "enable_weighted_failover",
    "assistants go to the upstream that a route names": "assistants_config",
    _LIMITS: """
        rpm tpm max_parallel_requests default_max_parallel_requests
        """,
    _CACHE: """
        cache cache_params cache_responses cache_kwargs caching caching_groups
        cache_control_injection_points enable_redis_auth_cache
        """,
    _BUDGETS: """
        provider_budget_config
        max_budget budget_duration max_end_user_budget max_end_user_budget_id default_internal_user_params
        max_internal_user_budget internal_user_budget_duration proxy_budget_rescheduler_min_time
        default_soft_budget proxy_budget_rescheduler_max_time disable_reset_budget proxy_batch_write_at
        cost_discount_config max_ui_session_budget upperbound_key_generate_params
        default_key_generate_params default_team_params
        """,
    _WATCHING: """
        success_callback failure_callback callbacks service_callbacks callback_settings
        turn_off_message_logging redact_user_api_key_info redact_messages_in_exceptions
        default_team_settings alerting alerting_threshold alert_types alert_to_webhook_url alerting_args
        spend_report_frequency telemetry disable_end_user_cost_tracking
        disable_end_user_cost_tracking_prometheus_only store_prompts_in_spend_logs disable_spend_logs
        log_raw_request_response maximum_spend_logs_retention_period maximum_spend_logs_retention_interval
        prometheus_metrics_config enable_end_user_cost_tracking_prometheus_only
        custom_prometheus_metadata_labels prometheus_initialize_budget_metrics
        require_auth_for_metrics_endpoint
        """,
    _KEYS: """
        database_url database_connection_pool_limit database_connection_timeout store_model_in_db
        allow_requests_on_db_unavailable disable_spend_updates key_management_system key_management_settings
        key_generation_settings custom_auth custom_key_generate enable_jwt_auth litellm_jwtauth
        enforce_user_param allowed_routes admin_only_routes user_header_name user_header_mappings custom_sso
        enable_oauth2_auth disable_adding_master_key_hash_to_db disable_master_key_return salt_key
        proxy_admin_email ui_access_mode allowed_ips use_x_forwarded_for ui_settings role_permissions
        supported_db_objects default_user_params enable_jwt_auth_for_admin public_routes
        infer_model_from_keys
        """,
    _REQUEST: """
        temperature max_tokens max_completion_tokens top_p top_k n seed stop presence_penalty
        frequency_penalty logit_bias user response_format tools tool_choice functions extra_body
        reasoning_effort thinking verbosity metadata service_tier modalities prediction logprobs
        top_logprobs parallel_tool_calls dimensions encoding_format web_search_options initial_prompt_value
        final_prompt_value roles bos_token eos_token additional_drop_params allowed_openai_params
        modify_params completion_model default_litellm_params add_function_to_prompt
        merge_reasoning_content_in_choices keep_alive num_ctx prompt_id prompt_variables
        forward_client_headers_to_llm_api add_user_information_to_llm_headers
        configurable_clientside_auth_params enable_json_schema_validation drop_params_list
        use_chat_completions_api mock_response mock_timeout
        """,
    _GUARDS: """
        guardrails guardrail_settings llmguard_mode banned_keywords_list blocked_user_list
        prompt_injection_params
        """,
    _TOOLS: "mcp_servers mcp_aliases mcp_tools search_tools vector_store_registry vector_stores mcp_internal_ip_ranges",
    _AWS: """
        aws_region_name aws_access_key_id aws_secret_access_key aws_session_token aws_role_name
        aws_session_name aws_profile_name aws_web_identity_token aws_sts_endpoint
        aws_bedrock_runtime_endpoint s3_bucket_name
        """,
    _GOOGLE: "vertex_project vertex_location vertex_credentials vertex_ai_project vertex_ai_location",
    _AZURE: """
        azure_ad_token azure_ad_token_provider tenant_id client_id client_secret azure_username
        azure_password enable_azure_ad_token_refresh azure_scope
        """,
    _NEEDLESS: """
        custom_llm_provider region_name use_in_pass_through use_litellm_proxy force_ipv4 detailed_debug
        litellm_credential_info enable_preview_features disable_hf_tokenizer_download tokenizer
        """,
    "write an upstream of dialect http and a route for each": "pass_through_endpoints",
    "name the file to import itself: one file is read at a time": "include",
    "files and fine-tuning go to the upstream that a route names": "files_settings finetune_settings batch_settings",
}

_WHY: Final = {key: why for why, keys in _SUBJECTS.items() for key in keys.split()}


def why(key: str) -> str:
    """Say why a key was not carried."""
    if key.startswith(("input_cost", "output_cost", "cache_read_input", "cache_creation_input")):
        return _BUDGETS
    if key.startswith(("langfuse", "langsmith", "s3_callback", "gcs_", "datadog", "otel")):
        return _WATCHING
    return _WHY.get(key, UNKNOWN)


def why_of_a_model(key: str) -> str:
    """Say why a fact about a model was not carried."""
    if key in {"supported_environments", "access_groups"}:
        return "who may use a model is said by routes and their plugins"
    if key.startswith(("supports_", "max_")):
        return "comes from the table of models (llmproxy models); or write capabilities on a target of a pool"
    return "what models can do and cost comes from the table of models (llmproxy models)"
