"""The evidence: what each part of the system brings, measured, stored and summarised.

`ablation`, `controlled` and `padding` run the experiments on frozen features (`studies`,
`frozen_features`, `frozen_heads`), `finetuning` those on whole models, `costs` measures what heads
cost; `localisation` scores boxes and `localisation_study` stores the scores; `results` keeps what
was measured, `intervals` says how sure it is, `summary` makes the README's tables (`drawn_tables`
those on drawn birds), and `reported` holds what papers report.
"""
