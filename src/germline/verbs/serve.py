"""A scorer as a server."""

from germline.core.loopback import LOOPBACK
from germline.scorers.named import scorer as scorer_of
from germline.scorers.server import server
from germline.verbs.arguments import Name, print_json


def serve(scorer: Name, host: str = "127.0.0.1", port: int = 8000, json: bool = False) -> None:
    """Serve a scorer to programs on this machine: JSON, images as PNG, until Ctrl-C.

    Examples:
      germline serve clip:/models/clip-vit-large-patch14
      germline serve hps_v2.1:/models/HPS_v2.1_compressed.pt,precision=bf16 --port 8001
      germline serve mine:brightness,name=bright

    A run uses it by its address: http://127.0.0.1:8000/. Write your own server for a model that needs an environment of its own:
    it answers POST {"items": [{"id", "prompt", "png_base64"}]} by {"scores": [{"id", "score"}], "model", "digest"}.

    Args:
        scorer: clip, aesthetic_v2, hps_v2, hps_v2.1, pickscore, imagereward, each also as NAME:WEIGHTS; or module:function.
        host: another address than this machine's own lets others in: nobody is asked who they are.
        port: 0 takes a free one.
        json: print JSON.
    """
    found = scorer_of(scorer)
    with server(found, host, port) as made:
        url = f"http://{made.server_address[0]!s}:{made.server_address[1]}/"
        if json:
            print_json({"url": url, "model": found.name})
        else:
            print(f"{found.name} at {url} (Ctrl-C stops it)", flush=True)
            if host not in LOOPBACK:
                print(f"note: whoever reaches {host} may use it", flush=True)
        made.serve_forever()
