#!/usr/bin/env python3
"""Says what is there and what to try."""
import json, sys

with open(sys.argv[1], encoding="utf-8") as f:
    d = json.load(f)
people = "\n".join(f"    {'0' + s['msisdn'][3:]}   {s['number']}   {s['name']}" for s in d["sim"]["subscribers"])
print(f"""
MotID is running (started in {d['started_in']:.1f} s).

  Open   {d['app']}/            an application: sign in, choose SIM or USB token
         {d['sim']['phone']}/            the citizens' phones: the message, the code, the PIN
         {d['pinpad']}/            the PIN window of the USB token
         {d['issuer']}/account     the citizen's own page

  SIM    phone        personal number
{people}
         PIN of every phone: {d['sim']['subscribers'][0]['pin']}
  Token  PIN: {d['pin']}

  Try    {d['motid']} audit tail --config {d['config']}
         {d['motid']} person find --name dao --config {d['config']}
         {d['motid']} cert list --config {d['config']}
         curl {d['issuer']}/.well-known/openid-configuration
""")
