"""What is printed beside a schedule is what the sampler's own levels and the specification's table say."""

import json

import pytest

from germline.cli import main
from germline.core import digest
from germline.diffusion.guidance_schedule import GuidanceSchedule
from germline.report.effective import effective, stable_diffusion_levels
from germline.report.methods import _recipe
from germline.samplers import Denoised, SelfCorrected
from germline.theory.guided_gaussian import effective_scale

TOY = Denoised(steps=50, sigma_min=0.01, guidance_scale=GuidanceSchedule("exp_floor", 3.0, 3.0))


def test_it_is_taken_over_the_samplers_own_levels():
    found = effective({"sampler": digest.describe(TOY)})
    assert dict(found.scales)[0.1] == pytest.approx(1.23, abs=0.01)
    assert dict(found.scales)[0.3] == pytest.approx(1.33, abs=0.01)
    assert found.scales[2] == (1.0, effective_scale(TOY.scale(), 1.0, TOY.sigmas().tolist()))
    assert found.text.startswith("exp_floor from 3, a = 3, u = step; s_eff 1.23 at tau 0.1, 1.33 at tau 0.3, ")
    assert found.text.endswith("(over sigma 40 to 0.01)")


def test_a_wrapped_sampler_is_found_and_a_constant_is_none():
    assert effective({"sampler": digest.describe(SelfCorrected(TOY))}) == effective({"sampler": digest.describe(TOY)})
    assert effective({"sampler": digest.describe(Denoised())}) is None


def test_a_pipeline_has_stable_diffusions_levels():
    schedule = digest.describe(GuidanceSchedule("exp_floor", 7.5, 3.0, "timestep"))
    found = effective({"part": "germline.samplers.sample_pipeline:SamplePipeline", "guidance_scale": schedule})
    assert [scale for _, scale in found.scales] == pytest.approx([1.6, 2.0, 2.9, 4.2], abs=0.06)
    assert (stable_diffusion_levels()[0], stable_diffusion_levels()[-1]) == pytest.approx((0.0292, 14.61), rel=1e-2)


def test_an_unknown_sampler_says_so():
    found = effective({"part": "other:Theirs", "guidance_scale": digest.describe(GuidanceSchedule())})
    assert found.text == "exp_floor from 2, a = 3, u = step; s_eff unknown, as are the noise levels of Theirs"


def test_the_methods_paragraph_states_it():
    said = " ".join(_recipe({"sampler": digest.describe(TOY)}))
    assert "Guidance was scheduled, exp_floor from 3, a = 3, u = step, which amounts to a constant scale of 1.23 at tau 0.1" in said


def test_dry_run_and_show_print_it(capsys):
    run = [
        "run",
        "replace",
        "--data",
        "digits",
        "--n",
        "20",
        "--founder-images",
        "64",
        "--images",
        "64",
        "--channels",
        "8",
        "16",
        "--steps",
        "4",
    ]
    run += ["--guidance-schedule", "linear", "--guidance-scale", "3", "--dry-run"]
    assert main(run) == 0
    flat = "".join(capsys.readouterr().out.split())
    assert "linearfrom3,u=step;s_eff" in flat
    assert main(["show", "redifine"]) == 0
    assert "exp_floorfrom2,a=3,u=step;s_eff1.1" in "".join(capsys.readouterr().out.replace("│", "").split())
    assert main(["show", "redifine", "--json"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[0])["guidance"]
    assert (found["schedule"], set(found["s_eff"])) == ("exp_floor from 2, a = 3, u = step", {"0.1", "0.3", "1", "3"})
