from holdfast.study.compare import Comparison as Comparison
from holdfast.study.compare import compare_runs as compare_runs
from holdfast.study.store import Store as Store
from holdfast.study.study_file import StudyFile as StudyFile
