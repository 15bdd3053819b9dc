// `--tls-cert` and `--tls-key`: the operator's own files, as a public CA or a company's own has signed them.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { pino } from "pino";
import { expect, onTestFinished, test } from "vitest";
import { type CertificateFiles, operatorsCertificate } from "../../controller/pki/server-certificate.ts";
import { issueServerCertificate, type KeyPair, makeCa, type Validity } from "../../controller/pki/x509.ts";
import { caHash } from "../../schema/agent/index.ts";
import { day, enrolWith, startEnrolling } from "../support/enrolled.ts";

const valid: Validity = { notBefore: new Date(Date.now() - day), notAfter: new Date(Date.now() + 30 * day) };
const over: Validity = { notBefore: new Date(Date.now() - 30 * day), notAfter: new Date(Date.now() - day) };

const sign = (ca: KeyPair, validity = valid): Promise<KeyPair> =>
  issueServerCertificate(
    { certificate: new X509Certificate(ca.certificate), key: createPrivateKey(ca.key) },
    ["127.0.0.1"],
    validity,
  );

interface Files extends CertificateFiles {
  readonly ca: string;
}

/** Certificate, key and CA, in files that go with the test. */
function write(pair: KeyPair, ca: KeyPair): Files {
  const directory = mkdtempSync(join(tmpdir(), "nearmiss-test-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const files = { cert: join(directory, "cert.pem"), key: join(directory, "key.pem"), ca: join(directory, "ca.pem") };
  writeFileSync(files.cert, pair.certificate);
  writeFileSync(files.key, pair.key);
  writeFileSync(files.ca, ca.certificate);
  return files;
}

function shownAt(base: string, ca: KeyPair): Promise<X509Certificate> {
  const [host = "", port] = base.split(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port: Number(port), ca: ca.certificate }, () => {
      resolve(new X509Certificate(socket.getPeerCertificate().raw));
      socket.destroy();
    }).on("error", reject);
  });
}

const fingerprint = ({ certificate }: KeyPair): string => new X509Certificate(certificate).fingerprint256;

test("the controller presents it, hosts enrol by the hash of its CA, and get certificates of the controller's own CA", async () => {
  const ca = await makeCa("a company's CA", valid);
  const pair = await sign(ca);
  const controller = await startEnrolling({ files: write(pair, ca) });
  expect((await shownAt(controller.base, ca)).fingerprint256).toBe(fingerprint(pair));
  expect((await controller.joinToken("a")).caHash).toBe(caHash(new X509Certificate(ca.certificate)));
  const identity = await controller.enrol("a");
  expect(new X509Certificate(identity.certificate).checkIssued(new X509Certificate(ca.certificate))).toBe(false);
  await controller.agent(identity).connect();
});

test("a host with the hash of another CA sends its token to no server", async () => {
  const [ca, other] = [await makeCa("a company's CA", valid), await makeCa("another company's CA", valid)];
  const controller = await startEnrolling({ files: write(await sign(ca), ca) });
  const otherController = await startEnrolling({ files: write(await sign(other), other) });
  const line = await controller.joinToken("a");
  await expect(enrolWith({ ...line, controller: otherController.url.href })).rejects.toThrow("The token was not sent");
});

test("changed files are used by the running controller; if they are invalid, it keeps its certificate", async () => {
  const ca = await makeCa("a company's CA", valid);
  const [first, second, third] = [await sign(ca), await sign(ca), await sign(ca)];
  const files = write(first, ca);
  const errors: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => errors.push(JSON.parse(line).err.message) });
  const controller = await startEnrolling({ files, log });
  const agent = await controller.agent(await controller.enrol("a")).connect();

  writeFileSync(files.cert, second.certificate);
  writeFileSync(files.key, second.key);
  await controller.tls.refresh();
  expect((await shownAt(controller.base, ca)).fingerprint256).toBe(fingerprint(second));

  writeFileSync(files.cert, third.certificate);
  await controller.tls.refresh();
  expect(errors).toEqual([`--tls-key ${files.key} is not the key of --tls-cert ${files.cert}`]);
  expect((await shownAt(controller.base, ca)).fingerprint256).toBe(fingerprint(second));
  expect(agent.isOpen).toBe(true);
});

const refusals: readonly (readonly [string, (files: Files) => unknown, string])[] = [
  ["is not there", ({ cert }) => rmSync(cert), "cannot read --tls-cert CERT: ENOENT"],
  ["is not in the file", ({ cert }) => writeFileSync(cert, "no PEM"), "--tls-cert CERT contains no certificate in PEM"],
  [
    "is damaged",
    ({ cert }) => writeFileSync(cert, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
    "CERT is damaged: ",
  ],
  ["has a damaged key", ({ key }) => writeFileSync(key, "no PEM"), "KEY is damaged: "],
  [
    "has expired",
    async ({ cert, key }) => {
      const pair = await sign(await makeCa("a company's CA", valid), over);
      writeFileSync(cert, pair.certificate);
      writeFileSync(key, pair.key);
    },
    "--tls-cert CERT has expired at ",
  ],
  [
    "is of another CA",
    async ({ ca }) => writeFileSync(ca, (await makeCa("another company's CA", valid)).certificate),
    "--tls-ca CA has not signed --tls-cert CERT: append the intermediate certificates",
  ],
];

test.each(refusals)("a certificate that %s is refused, with the file and the fault", async (_, spoil, message) => {
  const ca = await makeCa("a company's CA", valid);
  const files = write(await sign(ca), ca);
  const source = operatorsCertificate(files, () => new Date());
  await source();
  await spoil(files);
  const text = message
    .replace("CERT", files.cert)
    .replace("KEY", files.key)
    .replace(/\bCA\b/, files.ca);
  await expect(source()).rejects.toThrow(text);
});
