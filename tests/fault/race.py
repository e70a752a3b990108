#!/usr/bin/env python3
"""Many at once for what may be had once: codes and refresh tokens, over two processes on one PostgreSQL and over one on SQLite (SEC-06, SEC-07).
MOTID_ROUNDS=0.1 makes a tenth of the rounds."""
import concurrent.futures, os, unittest
from provider import Client, Hammer, Provider, check, claims, encode

HANDS = 64
SCALE = float(os.environ.get("MOTID_ROUNDS", "1"))

def rounds(n): return max(3, int(n * SCALE))

class Race:
    settings = "refresh_grace = 60s"

    @classmethod
    def setUpClass(cls):
        cls.p = Provider(cls.processes, cls.engine, settings=cls.settings)
        cls.app, cls.cookie = cls.p.client("App"), cls.p.sign_in()

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def tokens(self):
        a = self.p.redeem(self.app, self.p.code(self.app, self.cookie, scope="openid offline_access"))
        self.assertEqual(a.status, 200, a.text)
        return a.json

    def hammered(self, hammer, *requests):
        answers = hammer.hit(*requests)
        odd = [a for a in answers if a[1] not in (200, 400)]
        self.assertEqual(odd, [], "every hand is answered, by a token or by a refusal")
        return answers

    def won(self, answers): return [a[2] for a in answers if a[1] == 200]

class Codes(Race):
    def test_of_64_parallel_redemptions_of_one_code_exactly_one_succeeds(self):
        with Hammer(self.p, HANDS, self.app) as hammer:
            for n in range(rounds(self.code_rounds)):
                code = self.p.code(self.app, self.cookie, n % self.processes)
                won = self.won(self.hammered(hammer, ("/token", self.p.redeeming(self.app, code))))
                self.assertEqual(len(won), 1, f"round {n}")
                if n % 50 == 0:
                    self.assertFalse(self.p.active(self.app, won[0]["access_token"]), "the losers' replays have ended what the winner got")
                    self.assertEqual(self.p.refresh(self.app, won[0]["refresh_token"]).error, "invalid_grant")
        doubles = self.p.sql("SELECT grant_id FROM refresh WHERE parent = '' GROUP BY grant_id HAVING COUNT(*) > 1")
        self.assertEqual(doubles, [], "one first refresh token for each grant")

    def test_a_replay_after_the_winner_ends_everything_that_came_of_the_code(self):
        code = self.p.code(self.app, self.cookie)
        first = self.p.redeem(self.app, code).json
        again = self.p.refresh(self.app, first["refresh_token"], self.processes - 1).json
        self.assertTrue(self.p.active(self.app, again["access_token"]))
        self.assertEqual(self.p.redeem(self.app, code, self.processes - 1).error, "invalid_grant")
        for t in (first["access_token"], again["access_token"], again["refresh_token"]):
            for n in range(self.processes):
                self.assertFalse(self.p.active(self.app, t, n))
        self.assertEqual(self.p.refresh(self.app, again["refresh_token"]).error, "invalid_grant")

class Rotation(Race):
    def test_parallel_rotations_within_the_grace_all_give_the_same_successor_and_one_leaf_lives(self):
        with Hammer(self.p, HANDS, self.app) as hammer:
            for n in range(rounds(self.refresh_rounds)):
                first = self.tokens()
                answers = self.hammered(hammer, ("/token", encode(grant_type="refresh_token", refresh_token=first["refresh_token"])))
                won = self.won(answers)
                self.assertEqual(len(won), HANDS, "a lost answer may be asked for again")
                self.assertEqual(len({w["refresh_token"] for w in won}), 1)
                self.assertEqual(len({claims(w["access_token"])["jti"] for w in won}), HANDS)
                leaves = self.p.sql(f"SELECT hash FROM refresh WHERE used_at = 0 AND grant_id = '{claims(first['access_token'])['gid']}'")
                self.assertEqual(len(leaves), 1)

    def test_after_a_revocation_was_answered_no_token_of_the_grant_works(self):
        with Hammer(self.p, 8, self.app) as hammer:
            for n in range(rounds(self.revoke_rounds)):
                first = self.tokens()
                asked = [("/token", encode(grant_type="refresh_token", refresh_token=first["refresh_token"])), ("/revoke", encode(token=first["refresh_token"]))]
                answers = hammer.hit(*asked)
                self.assertEqual({a[1] for a in answers if a[0] == 1}, {200})
                had = [first] + [a[2] for a in answers if a[0] == 0 and a[1] == 200]
                for t in had:
                    for k in range(self.processes):
                        self.assertFalse(self.p.active(self.app, t["access_token"], k))
                        self.assertEqual(self.p.refresh(self.app, t["refresh_token"], k).error, "invalid_grant", f"round {n}")

class Without_grace(Race):
    settings = "refresh_grace = 0s"

    def test_without_a_grace_exactly_one_rotation_succeeds_also_within_the_same_second(self):
        with Hammer(self.p, HANDS, self.app) as hammer:
            for n in range(rounds(self.refresh_rounds)):
                first = self.tokens()
                won = self.won(self.hammered(hammer, ("/token", encode(grant_type="refresh_token", refresh_token=first["refresh_token"]))))
                self.assertEqual(len(won), 1, f"round {n}")
                self.assertFalse(self.p.active(self.app, won[0]["access_token"]), "whoever came second has ended the family")

class Other_things(Race):
    def test_of_64_parallel_uses_of_one_client_assertion_exactly_one_succeeds(self):
        key = Client.jwks(self.p.path("jwks.json"))
        signer = self.p.client("Signer", "--jwks", self.p.path("jwks.json"), auth="private-key-jwt")
        with Hammer(self.p, HANDS) as hammer:
            for n in range(rounds(self.other_rounds)):
                answers = hammer.hit(("/token", signer.asserting(signer.assertion(key, self.p.issuer))))
                self.assertEqual(sorted(a[1] for a in answers), [200] + [401] * (HANDS - 1), f"round {n}")

    def test_of_64_parallel_answers_with_one_signed_challenge_exactly_one_signs_in(self):
        person = self.p.citizen()
        self.p.sign_in(person)
        for n in range(rounds(self.other_rounds // 4)):
            b = check.Browser()
            page = b.open(f"{self.p.issuer}/account")
            fields = page.form("/login/token")["fields"]
            body = encode(**{**fields, "token": self.p.web_eid(*person[1:], page.data("data-nonce"))})
            had = self.sessions()
            with Hammer(self.p, HANDS, cookie="; ".join(self.p.cookies(b))) as hammer:
                answers = hammer.hit(("/login/token", body))
            self.assertEqual(sorted(a[1] for a in answers), [303] + [403] * (HANDS - 1), f"round {n}")
            self.assertEqual(self.sessions(), had + 1)

    def test_a_page_that_is_sent_twice_gives_the_application_one_answer_and_the_browser_the_other(self):
        for _ in range(rounds(self.other_rounds // 8)):
            _, cert, key = self.p.citizen()
            b = check.Browser()
            where = f"{self.p.issuer}/authorize?" + encode(response_type="code", client_id=self.app.id, redirect_uri=self.app.redirect, scope="openid", code_challenge="x" * 42 + "w", code_challenge_method="S256")
            page = b.open(where)
            i = page.form("/login/token")["fields"]["i"]
            fields = {**page.form("/login/token")["fields"], "token": self.p.web_eid(cert, key, page.data("data-nonce"))}
            self.assertEqual((a := self.p.ask("POST", "/login/token", encode(**fields), {"Cookie": "; ".join(self.p.cookies(b))})).status, 303)
            cookies = "; ".join(self.p.cookies(b) + [a.headers["Set-Cookie"].partition(";")[0]])
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                answers = list(pool.map(lambda n: self.p.ask("GET", f"/authorize/continue?i={i}", None, {"Cookie": cookies}, n % self.processes), range(16)))
            self.assertEqual([a.asked.get("code") is not None for a in answers if a.status == 303], [True])
            self.assertEqual([a.status for a in answers if a.status != 303], [400] * 15, "and the others are told on a page")

    def sessions(self): return int(self.p.sql("SELECT COUNT(*) FROM session")[0][0])

    def test_of_parallel_first_logins_of_one_person_all_find_the_same_person(self):
        for _ in range(rounds(self.other_rounds // 8)):
            person = self.p.citizen()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                sessions = list(pool.map(lambda _: self.p.sign_in(person), range(8)))
            self.assertEqual(len(set(sessions)), 8)
        people, certificates = (int(self.p.sql(f"SELECT COUNT(*) FROM {t}")[0][0]) for t in ("person", "certificate"))
        self.assertEqual(people, self.p.people)
        self.assertEqual(certificates, self.p.people)

class Postgres:
    engine, processes, code_rounds, refresh_rounds, revoke_rounds, other_rounds = "postgres", 2, 2000, 200, 200, 100

class Sqlite:
    engine, processes, code_rounds, refresh_rounds, revoke_rounds, other_rounds = "sqlite", 1, 300, 60, 60, 40

class Codes_over_two_processes_on_one_postgresql(Postgres, Codes, unittest.TestCase): pass
class Codes_on_sqlite(Sqlite, Codes, unittest.TestCase): pass
class Rotation_over_two_processes_on_one_postgresql(Postgres, Rotation, unittest.TestCase): pass
class Rotation_on_sqlite(Sqlite, Rotation, unittest.TestCase): pass
class Without_grace_over_two_processes_on_one_postgresql(Postgres, Without_grace, unittest.TestCase): pass
class Without_grace_on_sqlite(Sqlite, Without_grace, unittest.TestCase): pass
class Other_things_over_two_processes_on_one_postgresql(Postgres, Other_things, unittest.TestCase): pass
class Other_things_on_sqlite(Sqlite, Other_things, unittest.TestCase): pass

if __name__ == "__main__":
    unittest.main(verbosity=2)
