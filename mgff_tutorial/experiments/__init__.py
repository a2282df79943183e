"""The evidence: what each part of the system brings, measured, stored and summarised.

`registry` lists the experiments and runs one by its name. `ablation`, `controlled` and `padding`
compare heads on frozen features (`studies`, `frozen_features`, `frozen_heads`), `finetuning` whole
models; `costs` measures what heads cost, `localisation` scores boxes. `results` keeps what was
measured, `intervals` says how sure it is, and `tables` makes the tables of data/results/README.md.
"""
