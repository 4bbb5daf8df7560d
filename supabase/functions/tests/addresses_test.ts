import assert from "node:assert/strict";

import { isLiteral, isPublicAddress } from "../_shared/addresses.ts";

// The first and the last address of each special block, what lies beside it, and other spellings of them.
const NOT_PUBLIC = `0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
  169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.255 192.0.2.0 192.0.2.255
  192.88.99.0 192.88.99.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255
  203.0.113.0 203.0.113.255 224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255
  :: ::1 ::ffff:127.0.0.1 ::ffff:93.184.215.14 ::ffff:7f00:1 0:0:0:0:0:ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1
  64:ff9b::10.0.0.1 64:ff9b:1::1 100::1 100:0:0:1::1 1fff:ffff:: 2001:: 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1
  2001:10::1 2001:1ff:ffff:: 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:7f00:1::
  2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:: 4000:: 5f00::1 fc00::1 fd12:3456::1 fe80::1 fe80::1%lo
  febf:: fec0::1 ff02::1 FE80::1 0000:0000:0000:0000:0000:0000:0000:0001
  256.1.1.1 1.1.1 1.1.1.1.1 0x7f.0.0.1 2130706433 1:2 ::: 2606:4700::1]/ example.test`.split(/\s+/);
const ARE_PUBLIC = `1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
  169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0
  192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
  223.255.255.255 2000:: 2001:200::1 2001:4860:4860::8888 2001:db7:: 2001:db9:: 2003:: 2606:4700:4700::1111
  2606:4700:4700:0:0:0:0:1111 3ffe:ffff:: 3fff:1000:: 2a00:1450:4001:: 2001:4860:4860::8.8.8.8`.split(/\s+/);

Deno.test("an address that is special is not public", () => {
  assert.deepEqual(NOT_PUBLIC.filter(isPublicAddress), []);
});

Deno.test("any other address is public", () => {
  assert.deepEqual(ARE_PUBLIC.filter((address) => !isPublicAddress(address)), []);
});

Deno.test("an address in a URL is told from a name, however it is spelled", () => {
  const hosts = ["127.1", "0x7f000001", "2130706433", "017700000001", "127。0。0。1", "%31.1.1.1", "[::1]", "1.1.1.1."];
  for (const host of hosts) assert.ok(isLiteral(new URL(`https://${host}/`).hostname), host);
  for (const host of ["1.1.1.1.test", "a", "127-0-0-1.test"]) {
    assert.ok(!isLiteral(new URL(`https://${host}/`).hostname));
  }
});
