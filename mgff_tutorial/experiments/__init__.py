"""The evidence: what each part of the system brings, measured, stored and summarised.

`ablation`, `studies` and `controlled` run the experiments on frozen features (`frozen_features`, `frozen_heads`),
`finetuning` those on whole models;
`localisation` scores boxes and `localisation_study` stores the scores; `results` keeps what was measured, `intervals`
says how sure it is, `summary` makes the README's tables, and `reported` holds what papers report.
"""
