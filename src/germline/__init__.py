"""germline: diffusion models that train on what they make."""
