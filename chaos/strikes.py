"""Does to a running arena what a plan says, and ends spells when their time has come."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from redis.exceptions import RedisError

from chaos.arena import Arena, Worker
from chaos.plan import FORGETFUL, Fault, Strike
from chaos.poison import poison
from chaos.proxy import Proxy
from chaos.weather import Mishap, Weather

#: How long a replica goes on without its master, which goes on taking writes: those are lost. In seconds.
LOST_S: Final = 0.5
#: What a clock that jumps goes to.
JUMPS: Final = ("+2h", "-2h", "+40d", "-1d")
#: The weather of each spell, and whose it is.
WEATHERS: Final[Mapping[Fault, tuple[str, Weather]]] = {
    Fault.API_DOWN: ("api", Weather(down=True)),
    Fault.API_REFUSES: ("api", Weather(shares={Mishap.LIMITED: 0.7})),
    Fault.API_FAILS: (
        "api",
        Weather(shares={Mishap.ERROR_500: 0.15, Mishap.LATE_500: 0.1, Mishap.HTML_502: 0.1, Mishap.UNAVAILABLE: 0.05}),
    ),
    Fault.API_LIES: (
        "api",
        Weather(shares={Mishap.CUT_JSON: 0.15, Mishap.WRONG_JSON: 0.1, Mishap.HTML_200: 0.1}),
    ),
    Fault.API_CUT: (
        "api",
        Weather(shares={Mishap.CUT_REQUEST: 0.15, Mishap.CUT_ANSWER: 0.15, Mishap.LOST_ANSWER: 0.1}),
    ),
    Fault.API_SLOW: ("api", Weather(shares={Mishap.SLOW: 0.5}, slow_s=(0.5, 6.0))),
    Fault.STORE_DOWN: ("store", Weather(down=True)),
    Fault.STORE_FAILS: ("store", Weather(shares={Mishap.S3_SLOW_DOWN: 0.5, Mishap.ERROR_500: 0.2})),
    Fault.STORE_FORBIDS: ("store", Weather(shares={Mishap.S3_FORBIDDEN: 0.8})),
    Fault.STORE_ELSEWHERE: ("store", Weather(shares={Mishap.S3_REGION: 1.0})),
    Fault.STORE_CUT: (
        "store",
        Weather(shares={Mishap.CUT_REQUEST: 0.2, Mishap.CUT_ANSWER: 0.2, Mishap.LOST_ANSWER: 0.2}),
    ),
    Fault.STORE_SLOW: ("store", Weather(shares={Mishap.SLOW: 0.5}, slow_s=(0.5, 6.0))),
    Fault.SOURCES_FAIL: (
        "source",
        Weather(shares={Mishap.CUT_ANSWER: 0.2, Mishap.ERROR_500: 0.2, Mishap.CUT_REQUEST: 0.1, Mishap.SLOW: 0.1}),
    ),
    Fault.SINK_DOWN: ("sink", Weather(down=True)),
    Fault.SINK_FAILS: ("sink", Weather(shares={Mishap.ERROR_500: 0.2, Mishap.UNAVAILABLE: 0.2, Mishap.LATE_500: 0.2})),
    Fault.SINK_CUT: (
        "sink",
        Weather(shares={Mishap.CUT_REQUEST: 0.2, Mishap.CUT_ANSWER: 0.2, Mishap.LOST_ANSWER: 0.2}),
    ),
}


class Strikes:
    """Strikes an arena; what is struck already is left alone until its spell has ended."""

    def __init__(self, arena: Arena) -> None:
        """Nothing has happened yet."""
        self._arena = arena
        self.counts: Counter[Fault] = Counter()
        #: Acknowledged writes were lost since this was last set to False.
        self.forgot = False
        self._spells: list[tuple[float, str, Callable[[], None]]] = []

    def strike(self, strike: Strike) -> bool:
        """Do it; False: what it would hit is struck already."""
        done = self._do(strike)
        if done:
            self.counts[strike.fault] += 1
            self.forgot |= strike.fault in FORGETFUL
        return done

    def end_spells(self, *, all_of_them: bool = False) -> None:
        """End the spells whose time has come."""
        now_s = time.monotonic()
        due = [spell for spell in self._spells if all_of_them or spell[0] <= now_s]
        self._spells = [spell for spell in self._spells if spell not in due]
        for _, _, end in due:
            end()

    def _is_struck(self, what: str) -> bool:
        return any(struck == what for _, struck, _ in self._spells)

    def _spell(self, strike: Strike, what: str, end: Callable[[], None]) -> None:
        self._spells.append((time.monotonic() + strike.lasts_s, what, end))

    def _do(self, strike: Strike) -> bool:
        if strike.fault in WEATHERS:
            return self._change_weather(strike)
        if strike.fault.value.startswith("redis_"):
            return not self._is_struck("redis") and self._strike_redis(strike)
        arena = self._arena
        match strike.fault:
            case Fault.ALL_WORKERS_KILLED:
                for worker in list(arena.workers):
                    arena.kill(worker)
                    arena.start_worker()
            case Fault.WORKER_KILLED | Fault.LEADER_KILLED:
                worker = self._victim(strike)
                arena.kill(worker)
                arena.start_worker()
            case Fault.WORKER_STOPPED | Fault.LEADER_STOPPED:
                return self._stop(self._victim(strike), strike)
            case Fault.WORKER_CLOCK_JUMPS:
                return self._jump(strike)
            case Fault.GATEWAY_KILLED:
                arena.kill_gateway()
                arena.start_gateway()
            case Fault.POISON:
                return self._poison(strike)
        return True

    def _victim(self, strike: Strike) -> Worker:
        leads = self._arena.leader() if strike.fault in {Fault.LEADER_KILLED, Fault.LEADER_STOPPED} else None
        return leads or self._arena.workers[int(strike.victim * len(self._arena.workers))]

    def _stop(self, worker: Worker, strike: Strike) -> bool:
        if worker.stopped:
            return False
        worker.process.send_signal(signal.SIGSTOP)
        worker.stopped = True

        def go_on() -> None:
            worker.stopped = False
            worker.process.send_signal(signal.SIGCONT)

        self._spell(strike, worker.name, go_on)
        return True

    def _jump(self, strike: Strike) -> bool:
        clocks = [worker.clock for worker in self._arena.workers if worker.clock is not None]
        if not clocks:
            return False
        # The file is replaced, for it may be read at any moment.
        clock = clocks[int(strike.victim * len(clocks))]
        beside = clock.with_suffix(".new")
        beside.write_text(JUMPS[int(strike.victim * 1000) % len(JUMPS)])
        beside.replace(clock)
        return True

    def _poison(self, strike: Strike) -> bool:
        queue, message = poison(strike.victim)
        try:
            with self._arena.redis.client as client:
                client.lpush(queue, message)
        except RedisError:
            return False
        return True

    def _change_weather(self, strike: Strike) -> bool:
        name, weather = WEATHERS[strike.fault]
        if self._is_struck(name):
            return False
        proxy: Proxy = getattr(self._arena, name)
        before, proxy.weather = proxy.weather, weather

        def clear() -> None:
            proxy.weather = before

        self._spell(strike, name, clear)
        return True

    def _strike_redis(self, strike: Strike) -> bool:
        redis = self._arena.redis
        match strike.fault:
            case Fault.REDIS_KILLED:
                redis.kill()
                redis.restart()
            case Fault.REDIS_EMPTIED:
                redis.kill()
                redis.restart(emptied=True)
            case Fault.REDIS_FAILED_OVER:
                number = self.counts[Fault.REDIS_FAILED_OVER] + 1
                redis.fail_over(self._arena.folder / f"redis-{number}", lost_s=LOST_S)
            case Fault.REDIS_STOPPED:
                redis.pause()
                self._spell(strike, "redis", redis.go_on)
            case Fault.REDIS_CONNECTIONS_CUT:
                redis.cut_connections()
            case Fault.REDIS_OUT_OF_MEMORY:
                redis.set_memory("1mb")
                self._spell(strike, "redis", lambda: redis.set_memory("0"))
            case Fault.REDIS_DISK_FULL:
                redis.fill_disk()
                self._spell(strike, "redis", redis.free_disk)
        return True
