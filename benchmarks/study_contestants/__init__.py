"""What a study is compared with: scripts of their own, started by ``benchmarks/study.py``."""
