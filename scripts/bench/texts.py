"""Prints tweet-like texts of our own making, one a line, all distinct, for load tests. Needs no package.

Usage: python3 scripts/bench/texts.py [COUNT [SEED]] > texts.txt        (2000 texts and seed 1 unless told)

With all-MiniLM-L6-v2's tokenizer the 2,000 are as long as tweets are: mean 27 tokens, 95th percentile 45, special tokens
included. A server that is measured on one repeated text is measured on its cache.
"""

import random
import sys

WHO = """my brother|the new neighbour|our goalkeeper|the woman at the counter|that one colleague|my old teacher|the landlord|everyone on this bus|the kid next door
my best friend|the driver|half the office|grandma|the whole choir|some guy in a raincoat|the vet|our captain|nobody in this town""".replace("\n", "|").split("|")

DID = """just called to say the concert is back on|left without saying a word|found my keys in the freezer|promised to help and then did not show up
fixed the heater with a spoon|sang the wrong anthem in front of everyone|ate the last slice and blamed the dog|finally said sorry after three years
told me the results are in|dropped the cake on the stairs|thinks the moon is closer in winter|moved to the coast without telling us|won the raffle twice in a row
keeps playing that song at six in the morning|brought soup when i was ill|forgot my birthday again|lost the tickets somewhere between here and the station
stood in the rain for two hours for a photograph|changed the lock and kept the deposit|planted forty trees behind the school""".replace("\n", "|").split("|")

FEEL = """i can't stop laughing|i'm so done with this|honestly i could cry|my heart is full|this is terrifying|i don't even know what to say|so proud right now
what a mess|i am not okay|still shaking|best news all week|i hate waiting|it makes no sense at all|i miss those days|hope it lasts|i'm livid|can't wait for tomorrow
never trusting that again|feeling strangely calm|disgusting, really""".replace("\n", "|").split("|")

WHEN = """today|last night|on the way to work|five minutes before closing|in the middle of the meeting|this week|after all these years|at the worst possible moment
while i was asleep|on a monday of all days|before the first coffee|during the storm""".replace("\n", "|").split("|")

MORE = """and nobody said anything|and now the whole street knows|which explains the smell|but i'm not even surprised|so we went home and ordered noodles|and that was only the beginning
because why would anything be easy|and somehow it worked out|so if you need me i'm under the blanket|and the cat has not moved since|which is more than i can say for the council""".replace(
    "\n", "|"
).split("|")

TAGS = "#blessed #fail #monday #finally #whatever #nervous #grateful #goals #smh #rainyday #teamwork #nofilter #overit #bigday #homesick".split()
EMOJI = "😂 😭 😡 😱 🥰 🙏 🎉 💔 🤢 😬 ✨ 😤 🥳 😞".split()
NAMES = "@harbour_lights @mona.k @tram_nine @the_old_oak @lou1984 @fenwick @baker_and_son @ninth_floor".split()


def text(rng):
    """One text: a clause, then feelings, hashtags and marks until a drawn length is reached."""
    goal = max(5, min(44, round(rng.gauss(17.5, 7.2))))
    parts = [rng.choice(NAMES)] if rng.random() < 0.3 else []
    if goal > 9:
        parts.append(f"{rng.choice(WHO)} {rng.choice(DID)}")
    pools, drawn = [FEEL, WHEN, MORE, FEEL, MORE, WHEN], 0
    while sum(len(part.split()) for part in parts) < goal - 2 and drawn < len(pools):
        parts.append(rng.choice(pools[drawn]))
        drawn += 1
    if len(parts) == 0 or parts[-1].startswith("@"):
        parts.append(rng.choice(FEEL))
    joined = parts[0]
    for part in parts[1:]:
        joined += (" " if joined.startswith("@") and " " not in joined else rng.choice([", ", ". ", " ", "... ", " and "])) + part
    joined += rng.choice(["", "", "!", "!!", "...", "?"])
    if rng.random() < 0.45:
        joined += " " + " ".join(rng.sample(TAGS, rng.randint(1, 2)))
    if rng.random() < 0.2:
        joined += " " + rng.choice(EMOJI) * rng.randint(1, 3)
    if rng.random() < 0.05:
        joined = joined.replace(" and ", " &amp; ", 1)
    return joined[0].upper() + joined[1:] if rng.random() < 0.4 else joined


def texts(count, seed):
    rng, found = random.Random(seed), {}
    while len(found) < count:
        found.setdefault(text(rng))
    return list(found)


def main(arguments):
    count, seed = (int(value) for value in (arguments + ["2000", "1"][len(arguments) :]))
    sys.stdout.reconfigure(encoding="utf-8")
    print("\n".join(texts(count, seed)))


if __name__ == "__main__":
    main(sys.argv[1:])
