"""Every Redis key of an account, its type and its lifetime. All of them begin with one hash-tagged, versioned root.

The scripts get the root as their declared key and build the others from it: one account is one slot of a cluster.

| after the root | type | holds | lifetime |
|---|---|---|---|
| `p:<photo>` | hash | a photo's row | until it has ended, then the retention |
| `o:<photo>` | string | a photo's order: request and metadata | as its row |
| `l:<listing>` | hash | a listing, its photos' outcomes, how many are open | the same, by its last photo |
| `stages`, `partners` | hash | photos by stage, by partner and stage | lasting |
| `due:<step>` | sorted set | photos that wait for a time (ms) | lasting |
| `backlog:<kind>:<priority>:<partner>` | sorted set | photos that wait for a budget, as they were accepted | lasting |
| `ring:<kind>:<priority>` | sorted set | partners with photos in the backlog, by the tag of their next turn | lasting |
| `resting:<kind>` | sorted set | backlogs that may not go now, by when to look again (ms) | lasting |
| `turns:<kind>` | hash | the turn being served, next turns of partners outside the ring, turns given | lasting |
| `held:<stage>` | sorted set | failed, parked and uncertain photos | lasting |
| `leases` | sorted set | photos that are being worked on, until when (ms) | lasting |
| `unadmitted:<step>` | sorted set | leased photos whose grant is still to be taken | lasting |
| `slots` | sorted set | photos whose job is in flight, since when (ms) | lasting |
| `limits` | hash | limits that differ from the settings: reported by the API, or grown | lasting |
| `growth` | hash | since when a limit that may grow held slots up, and until when it rests | lasting |
| `cap` | hash | the lowered cap after a refusal | until it is back up |
| `grants:<route>` | sorted set | tokens of the grants in the window (ms) | two windows |
| `pauses`, `pace`, `totals` | hash | paused routes, paced reads, grants and refusals so far | lasting |
| `intake` | hash | what came in over the network so far, by door | lasting |
| `parking` | hash | why and since when the account is parked, and when it is probed | until it goes on |
| `spend:<day>` | hash | jobs bought on a day (UTC), by the account and by partner | 400 days |
| `bought:<day>` | hash | whose job a job is, by the day on which it became known | 62 days |
| `capped`, `capped_why` | sorted set, hash | who has reached which cap, and when to look again | until it moves |
| `caps_seen` | string | digest of the caps that the marks were made by | lasting |
| `usage` | hash | the usage summary as last read, and what had been bought by then | until the next |
| `duties` | hash | who does which part of the upkeep, and when it is due again | lasting |
| `billing:<walk>` | hash | lines of the billing ledger that a walk has read, its position | 3 days after a page |
| `billing:strangers` | hash | billed jobs that no receipt in the store names | 62 days after the first |
| `prices` | hash | the last price seen of each usage type (USD) | lasting |
| `remaking` | sorted set | photos that wait for another picture, since when (ms) | lasting |
| `paused` | hash | the account's and partners' pauses by people: since when, why, by whom | until resumed |
| `paused_listings` | hash | the same of listings, by their keys | until resumed |
| `boot` | string | until when budgets count as spent (ms) | lasting |
| `durations:<kind>` | hash | how long jobs of a kind run | 30 days after the last |
| `workers`, `hands` | sorted set, hash | who lives, with how many hands | lasting |
| `leader` | string | whose dispatcher leads | its lease |
| `fence` | string | the last fencing token | lasting |
| `outbox:<sink>` | stream | messages that a sink has not taken yet, each with its listing | until delivered |
| `queue:<sink>:<listing>` | list | a listing's entries of that outbox, in order | the same |
| `turn:<sink>` | sorted set | listings with such entries, by when the next may be sent (ms) | the same |
| `tries:<sink>` | hash | failed tries of a listing's first entry | the same |
| `dead:<sink>` | stream | messages that a sink refused or that failed too often, with the reason | until replayed |
| `sinks` | hash | for each sink: counters, the latest trouble, how often down in a row, until when paused | lasting |
| `pump:<sink>` | string | which process delivers to the sink | its lease |
| `news:<sink>` | list | one element when the pump should look again | lasting |
| `announced:<event>` | string | a message without a photo that was sent | a day |
| `jobs` | hash | photos by the id (`j:`) and reference (`r:`) of a job that may be open | lasting |
| `inbox` | sorted set | jobs of kept webhooks, since when (ms); bounded | lasting |
| `inbox:<job>` | string | a webhook whose job is not known here yet | a week |
| `notices` | sorted set | webhooks that came, and jobs seen to be over (ms); bounded | lasting |
| `webhooks` | hash | webhooks so far, by outcome | lasting |
| `unheard` | string | jobs found to be over by reading since the last webhook | lasting |
| `wake` | list | one element when the leader should look again | lasting |
"""

from __future__ import annotations

from typing import Final

#: Written into every key; another number is another ledger.
SCHEMA: Final = 1


def root(account: str) -> str:
    """Return the prefix of all keys of `account`; the braces keep them in one slot of a cluster."""
    return f"sc{SCHEMA}:{{{account}}}:"
