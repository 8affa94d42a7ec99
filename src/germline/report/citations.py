"""What to cite for a run: the papers that its recipe, parts and metrics name, its data set, and germline."""

import ast
import importlib.util
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from germline.core.digest import Json

ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")


@dataclass(frozen=True)
class Paper:
    """An entry; authors as BibTeX writes them, where "others" stands for those that are not listed here."""

    key: str
    authors: str
    title: str


# Names as the papers' own entries and reference lists give them; "others" where there are many.
PAPERS = {
    "1606.03498": Paper(
        "salimans2016",
        "Salimans, Tim and Goodfellow, Ian and Zaremba, Wojciech and Cheung, Vicki and Radford, Alec and Chen, Xi",
        "Improved Techniques for Training GANs",
    ),
    "1706.08500": Paper(
        "heusel2017",
        "Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp",
        "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
    ),
    "1708.07747": Paper(
        "xiao2017",
        "Xiao, Han and Rasul, Kashif and Vollgraf, Roland",
        "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning Algorithms",
    ),
    "1711.05101": Paper("loshchilov2017", "Loshchilov, Ilya and Hutter, Frank", "Decoupled Weight Decay Regularization"),
    "1801.01401": Paper(
        "binkowski2018",
        r"Bi{\'n}kowski, Miko{\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur",
        "Demystifying MMD GANs",
    ),
    "1812.11842": Paper(
        "marra2019",
        "Marra, Francesco and Gragnaniello, Diego and Verdoliva, Luisa and Poggi, Giovanni",
        "Do GANs Leave Artificial Fingerprints?",
    ),
    "1904.06991": Paper(
        "kynkaanniemi2019",
        r"Kynk{\"a}{\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo",
        "Improved Precision and Recall Metric for Assessing Generative Models",
    ),
    "1906.09531": Paper(
        "grover2019",
        "Grover, Aditya and Song, Jiaming and Agarwal, Alekh and Tran, Kenneth and Kapoor, Ashish and Horvitz, Eric and Ermon, Stefano",
        "Bias Correction of Learned Generative Models using Likelihood-Free Importance Weighting",
    ),
    "2002.09797": Paper(
        "naeem2020",
        "Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun",
        "Reliable Fidelity and Diversity Metrics for Generative Models",
    ),
    "2006.11239": Paper("ho2020", "Ho, Jonathan and Jain, Ajay and Abbeel, Pieter", "Denoising Diffusion Probabilistic Models"),
    "2010.02502": Paper("song2020", "Song, Jiaming and Meng, Chenlin and Ermon, Stefano", "Denoising Diffusion Implicit Models"),
    "2206.00364": Paper(
        "karras2022",
        "Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
    ),
    "2207.12598": Paper("ho2022", "Ho, Jonathan and Salimans, Tim", "Classifier-Free Diffusion Guidance"),
    "2210.02410": Paper(
        "friedman2022", "Friedman, Dan and Dieng, Adji Bousso", "The Vendi Score: A Diversity Evaluation Metric for Machine Learning"
    ),
    "2210.02747": Paper(
        "lipman2022",
        "Lipman, Yaron and Chen, Ricky T. Q. and Ben-Hamu, Heli and Nickel, Maximilian and Le, Matt",
        "Flow Matching for Generative Modeling",
    ),
    "2211.01095": Paper(
        "lu2022",
        "Lu, Cheng and Zhou, Yuhao and Bao, Fan and Chen, Jianfei and Li, Chongxuan and Zhu, Jun",
        "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models",
    ),
    "2301.13188": Paper(
        "carlini2023",
        "Carlini, Nicholas and Hayes, Jamie and Nasr, Milad and Jagielski, Matthew and Sehwag, Vikash and others",
        "Extracting Training Data from Diffusion Models",
    ),
    "2307.01850": Paper(
        "alemohammad2023",
        "Alemohammad, Sina and Casco-Rodriguez, Josue and Luzi, Lorenzo and Humayun, Ahmed Imtiaz and Babaei, Hossein and others",
        "Self-Consuming Generative Models Go MAD",
    ),
    "2310.00429": Paper(
        "bertrand2023",
        "Bertrand, Quentin and Bose, Avishek Joey and Duplessis, Alexandre and Jiralerspong, Marco and Gidel, Gauthier",
        "On the Stability of Iterative Retraining of Generative Models on their own Data",
    ),
    "2310.12952": Paper(
        "pasarkar2023",
        "Pasarkar, Amey P. and Dieng, Adji Bousso",
        "Cousins Of The Vendi Score: A Family Of Similarity-Based Diversity Metrics For Science And Machine Learning",
    ),
    "2402.07087": Paper(
        "gillman2024",
        "Gillman, Nate and Freeman, Michael and Aggarwal, Daksh and Hsu, Chia-Hong and Luo, Calvin and Tian, Yonglong and Sun, Chen",
        "Self-Correcting Self-Consuming Loops for Generative Model Training",
    ),
    "2404.01413": Paper(
        "gerstgrasser2024",
        "Gerstgrasser, Matthias and Schaeffer, Rylan and Dey, Apratim and Rafailov, Rafael and Sleight, Henry and others",
        "Is Model Collapse Inevitable? Breaking the Curse of Recursion by Accumulating Real and Synthetic Data",
    ),
    "2405.15613": Paper(
        "vo2024",
        r"Vo, Huy V. and Khalidov, Vasil and Darcet, Timoth{\'e}e and Moutakanni, Th{\'e}o and Smetanin, Nikita and others",
        "Automatic Data Curation for Self-Supervised Learning: A Clustering-Based Approach",
    ),
    "2407.09499": Paper(
        "ferbach2024",
        "Ferbach, Damien and Bertrand, Quentin and Bose, Avishek Joey and Gidel, Gauthier",
        "Self-Consuming Generative Models with Curated Data Provably Optimize Human Preferences",
    ),
    "2407.17493": Paper(
        "yoon2024",
        "Yoon, Youngseok and Hu, Dainong and Weissburg, Iain and Qin, Yao and Jeong, Haewon",
        "Model Collapse in the Self-Consuming Chain of Diffusion Finetuning: A Novel Perspective from Quantitative Trait Modeling",
    ),
    "2408.16333": Paper(
        "alemohammad2024",
        "Alemohammad, Sina and Humayun, Ahmed Imtiaz and Agarwal, Shruti and Collomosse, John and Baraniuk, Richard",
        "Self-Improving Diffusion Models with Synthetic Data",
    ),
    "2410.16713": Paper(
        "kazdan2024",
        "Kazdan, Joshua and Schaeffer, Rylan and Dey, Apratim and Gerstgrasser, Matthias and Rafailov, Rafael and Donoho, David L."
        " and Koyejo, Sanmi",
        "Collapse or Thrive? Perils and Promises of Synthetic Data in a Self-Generating World",
    ),
    "2502.16982": Paper(
        "liu2025",
        "Liu, Jingyuan and Su, Jianlin and Yao, Xingcheng and Jiang, Zhejun and Lai, Guokun and others",
        "Muon is Scalable for LLM Training",
    ),
    "2509.16499": Paper(
        "shi2025",
        "Shi, Lianghe and Wu, Meng and Zhang, Huijie and Zhang, Zekai and Tao, Molei and Qu, Qing",
        "A Closer Look at Model Collapse: From a Generalization-to-Memorization Perspective",
    ),
    "2510.03597": Paper(
        "alemohammad2025",
        "Alemohammad, Sina and Wang, Zhangyang and Baraniuk, Richard",
        "Neon: Negative Extrapolation From Self-Training Improves Image Generation",
    ),
    "2511.12742": Paper(
        "cai2025",
        "Cai, Zhongteng and Wang, Yaxuan and Liu, Yang and Zhang, Xueru",
        "Stabilizing Self-Consuming Diffusion Models with Latent Space Filtering",
    ),
}
# What a field's value stands for; the classes behind them are chosen by name, so no part in the configuration names the paper.
SETTINGS: dict[tuple[str, Json], tuple[str, ...]] = {
    ("solver", "dpmpp_2m"): ("2211.01095",),
    ("solver", "heun"): ("2206.00364",),
    ("solver", "euler"): ("2206.00364",),
    ("solver", "ddim"): ("2010.02502",),
    ("solver", "ancestral"): ("2006.11239",),
    ("schedule", "karras"): ("2206.00364",),
    ("schedule", "ddpm"): ("2006.11239",),
    ("objective", "flow"): ("2210.02747",),
    ("objective", "edm"): ("2206.00364",),
    ("objective", "ddpm-eps"): ("2006.11239",),
    **{("kind", decay): ("2407.17493",) for decay in ("exp_floor", "exp", "linear")},  # of a GuidanceSchedule
    ("kind", "interval"): ("2404.07724",),
    ("optimiser", "muon"): ("2502.16982",),
    ("optimiser", "adamw"): ("1711.05101",),
    ("data", "fashion-mnist"): ("1708.07747",),
}
SOFTWARE = """@software{germline,
  author = {{The germline authors}},
  title = {germline: diffusion models that train on what they make},
  version = {%s}
}"""


def bibtex(ids: Iterable[str], version: str) -> str:
    """Return the entries of these arXiv numbers, sorted, and germline's own; an unknown number has no author and no title."""
    return "\n\n".join([*(entry(number) for number in sorted(set(ids))), SOFTWARE % version]) + "\n"


def entry(number: str) -> str:
    """Return the BibTeX entry of one arXiv number."""
    paper = PAPERS.get(number)
    lines = []
    if paper:
        lines = [
            f"author = {{{paper.authors}}}",
            *([f"title = {{{{{paper.title}}}}}"] if paper.title else []),
            f"year = {{20{number[:2]}}}",
        ]
    lines += [f"eprint = {{{number}}}", "archivePrefix = {arXiv}", f"url = {{https://arxiv.org/abs/{number}}}"]
    return f"@misc{{{paper.key if paper else 'arxiv-' + number},\n  " + ",\n  ".join(lines) + "\n}"


def cited(value: Json) -> set[str]:
    """Return the arXiv numbers that parts, their docstrings and their settings name, however deep they lie in ``value``."""
    found: set[str] = set()
    for key, item in _leaves(value):
        if key == "part":
            found |= set(ARXIV.findall(_docstring(str(item))))
        elif key == "source":
            found |= set(ARXIV.findall(str(item)))
        elif key == "guidance_scale" and item != 1:
            found.add("2207.12598")
        elif isinstance(item, str):
            found |= set(SETTINGS.get((key, item), ()))
    return found


def _leaves(value: Json, key: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from _leaves(item, key)
    else:
        yield key, value


def _docstring(part: str) -> str:
    # Read, not imported: the part may need a library that is not there, and the report goes without torch.
    module, _, name = part.partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return ""
    if spec is None or not spec.origin or not Path(spec.origin).is_file():
        return ""
    tree = ast.parse(Path(spec.origin).read_text())
    return next((ast.get_docstring(node) or "" for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), "")
