from .models.session import load_model as load_model
from .studies.eval.study import evaluate as evaluate
from .studies.score.pair import score as score
from .studies.score.run import ladder as ladder
from .version import __version__ as __version__
