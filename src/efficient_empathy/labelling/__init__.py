"""Labels beyond one judgement: cascades of judges, second judgements, distilled judges and their predictions."""
