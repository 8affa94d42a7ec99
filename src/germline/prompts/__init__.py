"""Prompts for text-to-image models: cleaned, judged, made diverse, dealt out to rounds. Tables in, decisions with reasons out."""

from germline.prompts.clean import Cleaning, clean, evaluation_prompts
from germline.prompts.diversify import diversify
from germline.prompts.encoders import ClipText, MiniLM, TextEncoder
from germline.prompts.endpoint import Endpoint
from germline.prompts.judge import Judge, judge
from germline.prompts.log_odds import LogOdds
from germline.prompts.perplexity import Perplexity
from germline.prompts.read import read_prompts
from germline.prompts.rounds import rounds
from germline.prompts.rules import Rules
from germline.prompts.write import Outcome, write

__all__ = [
    "Cleaning",
    "ClipText",
    "Endpoint",
    "Judge",
    "LogOdds",
    "MiniLM",
    "Outcome",
    "Perplexity",
    "Rules",
    "TextEncoder",
    "clean",
    "diversify",
    "evaluation_prompts",
    "judge",
    "read_prompts",
    "rounds",
    "write",
]
