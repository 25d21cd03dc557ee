"""What well-known programs post, as maps: data in the same words that a configuration uses."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.webhook.config import MapConfig, Preset, RuleConfig

_GITHUB = MapConfig(
    # What bots write is not answered: our own answers would come back as events.
    when="sender.type != 'Bot'",
    rules=(
        RuleConfig(
            when="action == 'opened' && issue",
            text="Issue #{{ issue.number }} opened in {{ repository.full_name }} by "
            "{{ sender.login }}: {{ issue.title }}\n\n{{ issue.body }}",
        ),
        RuleConfig(
            when="action == 'created' && comment && issue",
            text="Comment on #{{ issue.number }} ({{ issue.title }}) in "
            "{{ repository.full_name }} by {{ sender.login }}:\n\n{{ comment.body }}",
        ),
        RuleConfig(
            when="action == 'opened' && pull_request",
            text="Pull request #{{ pull_request.number }} opened in {{ repository.full_name }} by "
            "{{ sender.login }}: {{ pull_request.title }} "
            "({{ pull_request.changed_files }} files, +{{ pull_request.additions }} "
            "-{{ pull_request.deletions }})\n\n{{ pull_request.body }}",
        ),
        RuleConfig(
            when="action == 'completed' && workflow_run.conclusion == 'failure'",
            text="Workflow {{ workflow_run.name }} failed in {{ repository.full_name }} on "
            "{{ workflow_run.head_branch }}: {{ workflow_run.display_title }}\n"
            "{{ workflow_run.html_url }}",
        ),
        RuleConfig(
            when="action == 'published' && release",
            text="Release {{ release.tag_name }} of {{ repository.full_name }} published: "
            "{{ release.name }}\n\n{{ release.body }}",
        ),
        RuleConfig(
            when="ref && commits",
            text="{{ length(commits) }} commits pushed to {{ ref }} of "
            "{{ repository.full_name }} by {{ sender.login }}:\n"
            "{{ join('\n', commits[].message) }}",
        ),
    ),
    conversation="{{ repository.full_name }}"
    "{{ issue.number && join('', ['#', to_string(issue.number)]) }}"
    "{{ pull_request.number && join('', ['#', to_string(pull_request.number)]) }}",
    sender="{{ sender.id }}",
    name="{{ sender.login }}",
    echo={
        "repository": "{{ repository.full_name }}",
        "number": "{{ issue.number || pull_request.number }}",
        "link": "{{ comment.html_url || issue.html_url || pull_request.html_url "
        "|| workflow_run.html_url || release.html_url || compare }}",
    },
)

_ALERTMANAGER = MapConfig(
    text="{{ status }}: {{ commonLabels.alertname || alerts[0].labels.alertname }} "
    "({{ length(alerts) }} alerts{{ truncatedAlerts > `0` && ', more were left out' || '' }})\n"
    "{{ join('\n', alerts[].join('', ['- ', status, ': ', labels.alertname, "
    "' ', not_null(labels.instance, ''), ' ', "
    "not_null(annotations.summary, annotations.description, '')])) }}",
    conversation="{{ groupKey }}",
    sender="{{ receiver }}",
    name="{{ receiver }}",
    echo={"group": "{{ groupKey }}", "status": "{{ status }}", "link": "{{ externalURL }}"},
)

_GRAFANA = MapConfig(
    text="{{ title }}\n{{ message || join('\n', alerts[].join('', ['- ', status, ': ', "
    "not_null(labels.alertname, ''), ' ', not_null(annotations.summary, ''), ' ', "
    "not_null(valueString, '')])) }}",
    conversation="{{ groupKey || title }}",
    sender="{{ receiver }}",
    name="{{ receiver }}",
    echo={"group": "{{ groupKey }}", "status": "{{ status }}", "link": "{{ externalURL }}"},
)

PRESETS: Mapping[Preset, MapConfig] = {
    "custom": MapConfig(conversation="default", sender="program"),
    "github": _GITHUB,
    "grafana": _GRAFANA,
    "alertmanager": _ALERTMANAGER,
}


def settled(preset: Preset, given: MapConfig) -> MapConfig:
    """The preset with what the configuration says over it."""
    changed = given.model_dump(exclude_defaults=True)
    if changed.keys() & {"text", "rules"}:
        changed = {"text": "", "rules": (), **changed}
    changed["rules"] = given.rules if given.rules or given.text else PRESETS[preset].rules
    return PRESETS[preset].model_copy(update=changed)
