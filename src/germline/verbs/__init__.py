"""The verbs of the command line, one a file. Each is a function; its arguments are its flags, its docstring their help."""

from collections.abc import Callable

from germline.verbs.adopt import adopt
from germline.verbs.audit import audit
from germline.verbs.best import best
from germline.verbs.calibrate import calibrate
from germline.verbs.check import check
from germline.verbs.cite import cite
from germline.verbs.doctor import doctor
from germline.verbs.evaluate import evaluate
from germline.verbs.export import export
from germline.verbs.fork import fork
from germline.verbs.grid import grid
from germline.verbs.guidance import guidance
from germline.verbs.ls import ls
from germline.verbs.measure import measure
from germline.verbs.prompts import prompts
from germline.verbs.report import report
from germline.verbs.run import run
from germline.verbs.score import score
from germline.verbs.select import select
from germline.verbs.serve import serve
from germline.verbs.show import show
from germline.verbs.study import study
from germline.verbs.table import table
from germline.verbs.verdict import verdict
from germline.verbs.vote import vote

VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (
        ls,
        show,
        run,
        study,
        measure,
        verdict,
        guidance,
        calibrate,
        best,
        table,
        report,
        grid,
        check,
        fork,
        export,
        adopt,
        cite,
        doctor,
        evaluate,
        score,
        select,
        audit,
        prompts,
        vote,
        serve,
    )
}
