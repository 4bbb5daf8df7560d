// deno-lint-ignore-file no-console -- a command prints
// Posts to private addresses in every spelling, and to names that lead there, with a canary listening on loopback.
// No post may get a connection. `--break guard` and `--break pin` plant a fault, which must make the drill exit with 1.
import { isPublicAddress } from "../../supabase/functions/_shared/addresses.ts";
import { type Network, network as real } from "../../supabase/functions/_shared/connect.ts";
import { post } from "../../supabase/functions/_shared/post.ts";

/** How hosts of an URL can say loopback or another private address, in words and without a name server. */
const SPELLINGS =
  `127.0.0.1 127.0.0.1. 127.1 127.0.1 127.255.255.254 0 0.0.0.0 00000000 2130706433 4294967295 0x7f000001
  0X7F000001 0x7f.1 0x7f.0.1 0x7f.0x0.0x0.0x1 0177.1 0177.0.0.1 017700000001 0000000000127.0.0.1 127.0x0.00.1 127.00.0.01
  %31%32%37.0.0.1 127%2e0%2e0%2e1 １２７.０.０.１ 127。0。0。1 127．0．0．1 ①②⑦.⓪.⓪.① 127.0.0.1%2e
  [::1] [::] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0:1] [::127.0.0.1] [::ffff:127.0.0.1]
  [::ffff:7f00:1] [0:0:0:0:0:ffff:127.0.0.1] [::FFFF:7F00:0001] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::]
  [2001:0:7f00:1::] [fe80::1] [fc00::1] [fd00:ec2::254] [ff02::1] 10.0.0.1 172.16.0.1 192.168.0.1 100.64.0.1
  169.254.169.254 0xa9fea9fe 2852039166 169.254.43518 192.0.0.192 198.18.0.1 224.0.0.1 255.255.255.255
  localhost LOCALHOST localhost. LocalHost loc%61lhost ｌｏｃａｌｈｏｓｔ a@127.0.0.1 a:b@localhost 93.184.215.14@127.0.0.1
  127.0.0.1:443@localhost`.split(/\s+/);

/** What a hostile name server answers for a name of its own: each list, once. */
const ANSWERS: Record<string, string[][]> = {
  "loopback": [["127.0.0.1"], []],
  "loopback of IPv6": [[], ["::1"]],
  "any address": [["0.0.0.0"], ["::"]],
  "mapped": [[], ["::ffff:127.0.0.1"]],
  "NAT64": [[], ["64:ff9b::7f00:1"]],
  "6to4": [[], ["2002:7f00:1::"]],
  "metadata": [["169.254.169.254"], []],
  "metadata of IPv6": [[], ["fd00:ec2::254"]],
  "private behind public": [["93.184.215.14", "127.0.0.1"], []],
  "public IPv4, private IPv6": [["93.184.215.14"], ["::1"]],
  "private IPv4, public IPv6": [["10.0.0.1"], ["2606:4700::1111"]],
  "link-local with a zone": [[], ["fe80::1%lo"]],
  "a name instead of an address": [["localhost"], []],
};
/** Public when it is looked at, private whenever it is asked for again. */
const REBINDING = "public first, loopback ever after";

interface Attack {
  name: string;
  url: string;
  network: Network;
}

const broken = Deno.args[Deno.args.indexOf("--break") + 1];
const isBroken = Deno.args.includes("--break");
if (isBroken && !["guard", "pin"].includes(broken)) {
  console.error("ssrf: --break takes guard or pin");
  Deno.exit(2);
}
const secret = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;
let canary = 0;
let called: string[] = [];
const listeners = ["127.0.0.1", "::1"].flatMap((hostname) => {
  try {
    return [Deno.listen({ hostname, port: 0 })];
  } catch {
    return []; // a machine without IPv6
  }
});
const [port, port6] = listeners.map((listener) => listener.addr.port);
for (const listener of listeners) {
  (async () => {
    for await (const connection of listener) {
      canary += 1;
      connection.close();
    }
  })();
}

/** Whatever is not on loopback is only noted: the drill calls nobody else. */
async function connect(host: string): Promise<Deno.Conn> {
  if (isPublicAddress(host)) throw new Deno.errors.ConnectionRefused();
  called.push(host);
  if (!/^(127\.|0\.0\.0\.0$|localhost$|::1$|::$|::ffff:(127\.|7f00:))/i.test(host)) {
    throw new Deno.errors.ConnectionRefused();
  }
  return await Deno.connect({ hostname: host, port: host.startsWith("::") && !/ffff/i.test(host) ? port6 : port });
}

function attacks(): Attack[] {
  const spelled = SPELLINGS.map((host) => ({ name: host, url: `https://${host}/`, network: { ...real, connect } }));
  const named = Object.entries(ANSWERS).map(([name, [ipv4, ipv6]]) => {
    const resolve = (_: string, type: string) => Promise.resolve(type === "A" ? ipv4 : ipv6);
    return { name, url: "https://hostile.test/", network: { ...real, resolve, connect } };
  });
  let asked = 0;
  const resolve = (_: string, type: string) => {
    if (type === "AAAA") return Promise.resolve([]);
    return Promise.resolve([++asked === 1 ? "93.184.215.14" : "127.0.0.1"]);
  };
  const again = async () => await connect((await resolve("hostile.test", "A"))[0]);
  const rebound = { ...real, resolve, connect: broken === "pin" ? again : connect };
  return [...spelled, ...named, { name: REBINDING, url: "https://hostile.test/", network: rebound }];
}

const reached: { attack: string; called: string[]; connections: number }[] = [];
const all = attacks();
for (const { name, url, network } of all) {
  called = [];
  const before = canary;
  const delivery = {
    delivery_id: "00000000-0000-0000-0000-000000000000",
    webhook_id: "msg_drill",
    attempt: 1,
    url,
    secrets: [secret],
    body: "{}",
    allow_private: broken === "guard",
  };
  const outcome = await post(delivery, network, Date.now(), 2000);
  await new Promise((resolve) => setTimeout(resolve, 2));
  if (called.length > 0 || canary > before || outcome.status !== null) {
    reached.push({ attack: name, called, connections: canary - before });
  }
}
for (const listener of listeners) listener.close();

if (Deno.args.includes("--json")) {
  console.log(JSON.stringify({ attacks: all.length, connections: canary, reached }, null, 2));
} else {
  for (const { attack, called, connections } of reached) {
    console.log(`REACHED  ${attack}: called ${called.join(", ")}; ${connections} connections`);
  }
  console.log(`${all.length} attacks, ${reached.length} got through, ${canary} connections at the canary`);
}
Deno.exit(reached.length > 0 ? 1 : 0);
