"""Pools larger than memory, for people without a loop: read shard by shard, scored, and chosen from. Nothing of a pool is ever changed."""

from germline.pools.opened import Opened, shards_of
from germline.pools.shard import Row, Shard

__all__ = ["Opened", "Row", "Shard", "shards_of"]
