"""Synonyms of common words of docstrings: chosen by hand, each pair from one synset of WordNet.

The most frequent sense is often wrong: to "find" is to happen upon, a "cookie" is a biscuit, a "handler" a trainer. By
that rule only 2 % of HumanEval's and MBPP's words had a synonym, and most did not fit.
"""

from __future__ import annotations

from collections.abc import Mapping

CHOSEN: Mapping[str, str] = {
    "VERB": """
        accept: take; acquire: get; align: adjust; allow: permit; alter: change modify; apply: use employ utilize;
        associate: connect link relate; assume: presume; attempt: try; begin: commence start; build: construct make;
        calculate: compute reckon; change: alter modify; check: ascertain; choose: select; coerce: force; combine:
        unite; complete: finish; compute: calculate reckon; conceal: hide; consider: regard view; consist: comprise;
        construct: build make; contain: comprise incorporate; continue: proceed; create: make produce; decide:
        determine; define: specify delineate; derive: deduce infer; describe: depict; desire: want; detect: discover
        notice observe; determine: ascertain find; display: exhibit; distinguish: differentiate; employ: apply use
        utilize; ensure: assure guarantee; examine: analyze study; exclude: omit; expect: anticipate; extract: pull;
        fetch: bring; find: discover detect; finish: complete; fulfill: meet satisfy; get: obtain receive;
        guarantee: ensure assure; guess: suppose; handle: manage; happen: occur; help: assist aid; hide: conceal;
        ignore: disregard dismiss; indicate: show designate; infer: deduce; interpret: construe; jump: leap; keep:
        hold maintain; make: create produce; meet: fulfill satisfy; mention: cite; modify: alter change; need:
        require; obtain: get receive; occur: happen; omit: exclude; perform: execute; permit: allow; prepare: ready;
        prevent: forestall; produce: create make; provide: furnish supply; receive: get obtain; reduce: cut; rely:
        trust; remain: stay; remember: recall; require: demand need; respond: react; retain: hold; retrieve: recover
        regain; satisfy: fulfill meet; seem: appear; select: choose; show: demonstrate exhibit present; specify:
        define delineate; start: begin commence; supply: furnish provide; take: accept; traverse: cross; try:
        attempt seek; use: apply employ utilize; utilize: apply employ use; want: desire; write: compose
    """,
    "NOUN": """
        aim: purpose; amount: quantity; answer: result solution; beginning: commencement outset; boundary: bound;
        choice: pick; collection: aggregation assemblage; component: constituent; effect: consequence outcome;
        element: component constituent; feature: characteristic; job: chore task; limitation: restriction; manner:
        style way; modification: alteration; moment: instant; outcome: consequence result; purpose: aim; quantity:
        amount; restriction: limitation; result: consequence outcome; solution: answer result; task: chore job
        undertaking; topic: subject theme; way: fashion manner; writer: author
    """,
    "ADJ": """
        adjacent: contiguous neighboring; ambiguous: equivocal; big: large; concurrent: simultaneous; consecutive:
        sequential successive; entire: total; exact: precise; extra: additional excess; final: concluding;
        identical: indistinguishable; incorrect: wrong; large: big; main: chief principal; missing: absent lacking;
        new: fresh novel; particular: special; possible: potential; reliable: dependable; sequential: serial
        successive; simple: elementary uncomplicated; simultaneous: concurrent; single: individual; special:
        particular peculiar; strict: rigorous; successive: consecutive sequential; sure: certain; total: entire;
        various: assorted diverse; wide: broad; wrong: incorrect
    """,
    "ADV": """
        always: constantly invariably; closest: nearest; commonly: normally usually; completely: entirely totally
        wholly; entirely: completely totally wholly; especially: particularly; evenly: equally; eventually: finally;
        exactly: precisely; exclusively: solely; finally: eventually ultimately; frequently: often; immediately:
        instantly; mostly: largely; normally: commonly usually; often: frequently; only: exclusively solely;
        partially: partly; particularly: especially; possibly: maybe perhaps; primarily: chiefly mainly; quickly:
        rapidly; randomly: arbitrarily haphazardly; rarely: seldom; simply: merely; solely: exclusively;
        subsequently: afterwards; usually: commonly normally
    """,
}
"""By part of speech, as "lemma: synonyms": those that fit in the statement of a task."""
