from efficient_empathy.analytics import AnalyticsSettings, analytics, summary


def test_what_a_user_has_to_know_is_said(make_run) -> None:
    run = make_run(dialogues=800, sensibility=lambda i, c: 2 if c == "angry" else 8 if i < 400 else 5)
    result = analytics(run, AnalyticsSettings(resamples=20))
    text = summary(result, run.root)
    for said in (
        "1,600 samples of 800 dialogues",
        "sensibility: 4 of 4 differ from all others (Holm)",
        "lowest angry",
        "kept less than others: angry",
        "rationality ~ words in the response: +0.9",
        "Drift of second half from first half: a large shift",
        "alarm: sensibility, PSI",
        "Judging: 1,600 judgements, 0 requests, 0 tokens, $0.00",
        f"Next: efficient-empathy studio {run.root}",
    ):
        assert said in text, (said, text)
    assert "(nothing had changed)" in summary(analytics(run, AnalyticsSettings(resamples=20)), run.root)


def test_an_empty_looking_run_has_words_too(tmp_path) -> None:
    from analytics_runs import sample, scored

    run = scored(tmp_path, [sample("that is a fine thing to hear")])
    text = summary(analytics(run), run.root)
    assert "1 sample of 1 dialogue\n" in text
    assert "too few samples to tell" in text
    assert "Data quality: nothing found" in text
    assert "run `efficient-empathy select --run" in text
