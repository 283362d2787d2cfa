from holdfast.study.analysis.compare import Comparison as Comparison
from holdfast.study.analysis.compare import compare_runs as compare_runs
from holdfast.study.define.study_file import StudyFile as StudyFile
from holdfast.study.store.run_store import Store as Store
