"""STAGECREW_COMPLETIONS_URL: every form, each name, and what is said of wrong ones."""

from __future__ import annotations

import base64

import pytest

from config.settings import SettingsError, load_settings
from config.sinks import SinkAddress, SinkKind, signing_secrets, sink_addresses

URL, SECRET = "STAGECREW_COMPLETIONS_URL", "STAGECREW_COMPLETIONS_SECRET"


def problem_of(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(environ)
    return str(raised.value)


@pytest.mark.parametrize(
    ("url", "kind", "name", "target"),
    [
        ("redis+stream://done", SinkKind.STREAM, "stream", "done"),
        ("redis+stream://my/done", SinkKind.STREAM, "stream", "my/done"),
        ("sqs://Done.fifo", SinkKind.SQS, "sqs-Done.fifo", "Done.fifo"),
        ("sqs://done?region=eu-west-1#mine", SinkKind.SQS, "mine", "done"),
        ("sqs://arn:aws:sqs:eu-west-1:123456789012:done", SinkKind.SQS, "sqs-done", "done"),
        (
            "sqs://sqs.us-gov-west-1.amazonaws.com/123456789012/done",
            SinkKind.SQS,
            "sqs-done",
            "https://sqs.us-gov-west-1.amazonaws.com/123456789012/done",
        ),
        ("sns://arn:aws:sns:eu-west-1:123456789012:t", SinkKind.SNS, "sns-t", "arn:aws:sns:eu-west-1:123456789012:t"),
        ("https://a.example.com/x?k=1,2", SinkKind.HTTPS, "https-a.example.com", "https://a.example.com/x?k=1,2"),
        ("https://a.example.com:8443/x#crm", SinkKind.HTTPS, "crm", "https://a.example.com:8443/x"),
        ("https://[2606:4700::1]/x", SinkKind.HTTPS, "https-2606-4700--1", "https://[2606:4700::1]/x"),
        ("celery://billing.on_staged", SinkKind.CELERY, "celery-billing.on_staged", "billing.on_staged"),
    ],
)
def test_each_form_is_understood(url: str, kind: SinkKind, name: str, target: str) -> None:
    [sink] = sink_addresses(url)
    assert (sink.kind, sink.name, sink.target) == (kind, name, target)


@pytest.mark.parametrize(
    ("url", "region", "owner"),
    [
        ("sqs://done?region=eu-west-1", "eu-west-1", None),
        ("sqs://done", None, None),
        ("sqs://arn:aws-cn:sqs:cn-north-1:123456789012:done", "cn-north-1", "123456789012"),
        ("sqs://sqs.eu-west-1.amazonaws.com/123456789012/done", "eu-west-1", "123456789012"),
        ("sns://arn:aws:sns:eu-west-1:123456789012:t", "eu-west-1", "123456789012"),
    ],
)
def test_the_region_is_the_one_that_the_url_names(url: str, region: str | None, owner: str | None) -> None:
    [sink] = sink_addresses(url)
    assert (sink.region, sink.owner) == (region, owner)


def test_celerys_queue_is_its_default_unless_named() -> None:
    first, second = sink_addresses("celery://a celery://b?queue=theirs")
    assert (first.queue, second.queue) == ("celery", "theirs")


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n", " , ", "\t"])
def test_several_are_separated_by_blanks_or_commas(between: str) -> None:
    urls = ["redis+stream://done", "sqs://q", "https://a.example.com/x,y?z=1,2", "celery://t"]
    assert [sink.name for sink in sink_addresses(f" {between.join(urls)} ")] == [
        "stream",
        "sqs-q",
        "https-a.example.com",
        "celery-t",
    ]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("done", "use redis+stream://NAME"),
        ("ftp://done", "ftp:// is no sink; use"),
        (",", "it names no sink"),
        ("redis+stream://", "redis+stream://NAME"),
        ("redis+stream://a redis+stream://b", "keep one"),
        ("sqs://", "sqs://QUEUE"),
        ("sqs://a b", "is no sink"),
        ("sqs://a/b", "sqs://QUEUE"),
        ("sqs://a.b", "sqs://QUEUE"),
        ("sqs://arn:aws:sns:eu-west-1:123456789012:t", "sqs://QUEUE"),
        ("sqs://q?region=Europe", "a region looks like eu-west-1"),
        ("sqs://q?reason=eu-west-1", "no option reason; there is only ?region="),
        ("sns://topic", "sns://arn:aws:sns:REGION:ACCOUNT:TOPIC"),
        ("sns://arn:aws:sns:eu-west-1:1:t", "sns://arn:aws:sns:REGION:ACCOUNT:TOPIC"),
        ("https://", "needs a host"),
        ("http://a.example.com/secret", "use https"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "write its queue sqs://"),
        ("https://a.example.com https://a.example.com/b", "another name at its URL's end, like #second"),
        ("https://a.example.com#a/b", "a sink's name after #"),
        ("https://[1", "can't be read"),
        ("https://a.example.com:port", "can't be read"),
        ("celery://", "celery://billing.photo_staged"),
        ("celery://a/b", "celery://billing.photo_staged"),
        ("celery://a?queue=stagecrew", "name its workers' queue"),
        ("celery://a?queue=stagecrew.enqueue", "name its workers' queue"),
        ("celery://a?queue=stagecrew-north", "name its workers' queue"),
    ],
)
def test_a_wrong_one_is_told_with_its_remedy(url: str, said: str) -> None:
    problem = problem_of({URL: url})
    assert problem.startswith(f"{URL}: ")
    assert said in problem
    assert "\n" not in problem
    assert "secret" not in problem


def test_http_is_for_the_sandbox_only() -> None:
    assert "use https" in problem_of({URL: "http://127.0.0.1/hook", SECRET: "s"})
    settings = load_settings({URL: "http://127.0.0.1/hook", SECRET: "s", "STAGECREW_ALLOW_PRIVATE_HOSTS": "true"})
    assert [sink.name for sink in settings.sinks] == ["https-127.0.0.1"]


def test_an_https_sink_without_a_secret_is_refused_and_others_need_none() -> None:
    problem = problem_of({URL: "https://a.example.com/hook"})
    assert problem.startswith(f"{SECRET}: the sink https-a.example.com has no secret")
    assert "openssl rand -base64 32" in problem
    assert load_settings({URL: "sqs://q celery://t"}).sink_secrets == {}


HOOKS = (
    SinkAddress(kind=SinkKind.HTTPS, name="crm", target="https://crm.example.com"),
    SinkAddress(kind=SinkKind.HTTPS, name="billing", target="https://billing.example.com"),
)


def test_secrets_are_text_or_whsec_and_all_of_them_sign() -> None:
    found = signing_secrets(f"whsec_{base64.b64encode(b'new').decode()}, old", HOOKS)
    assert found == {"crm": (b"new", b"old"), "billing": (b"new", b"old")}


def test_a_sinks_own_secret_is_nobody_elses() -> None:
    found = signing_secrets("crm=one crm=two shared", HOOKS)
    assert found == {"crm": (b"one", b"two"), "billing": (b"shared",)}
    with pytest.raises(ValueError, match="billing has no secret"):
        signing_secrets("crm=one", HOOKS)


def test_an_equals_sign_may_be_part_of_a_secret() -> None:
    assert signing_secrets("other=x==", HOOKS[:1]) == {"crm": (b"other=x==",)}


@pytest.mark.parametrize("secret", ["whsec_", "whsec_hush!", "whsec_hus", "crm=whsec_hus"])
def test_a_damaged_secret_is_refused_and_not_shown(secret: str) -> None:
    problem = problem_of({URL: "https://a.example.com#crm", SECRET: secret})
    assert problem.startswith(f"{SECRET}: a secret that begins with whsec_ must go on in base64")
    assert "hus" not in problem.removeprefix(SECRET)
