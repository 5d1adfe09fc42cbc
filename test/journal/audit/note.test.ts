/** Signed notes and checkpoints, with what other implementations have published. */
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'tap';
import { formatCheckpoint, parseCheckpoint } from '../../../journal/audit/checkpoint.ts';
import { openNote, parseNote, parseVerifier, signerOf, type Verifier } from '../../../journal/audit/note.ts';

/** From the documentation of golang.org/x/mod/sumdb/note. */
const PETER = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';
const TEXT =
  'If you think cryptography is the answer to your problem,\nthen you don’t know what your problem is.\n'.replace(
    '’',
    "'",
  );
const PETERS_LINE =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n';
const NOTE = `${TEXT}\n${PETERS_LINE}`;

test('a note of another implementation is opened with its public key', async (t) => {
  const peter = parseVerifier(PETER) as Verifier;
  t.match(peter, { name: 'PeterNeumann', id: 'c74f20a3', text: PETER });
  t.match(openNote(NOTE, [peter]), { text: TEXT, signers: [{ name: 'PeterNeumann' }] });
});

test('a note that is signed is opened with the key, and signatures of others are passed over', async (t) => {
  const signer = signerOf('seawall/test/audit', generateKeyPairSync('ed25519').privateKey);
  const note = signer.sign(TEXT);
  const verifier = parseVerifier(signer.text) as Verifier;
  t.equal(verifier.id, signer.id);
  t.match(openNote(note, [verifier]), { text: TEXT, signers: [{ id: signer.id }] });
  t.match(openNote(`${note}${PETERS_LINE}`, [verifier]), { text: TEXT });
  t.match(openNote(`${note}${PETERS_LINE}`, [verifier, parseVerifier(PETER) as Verifier]), {
    signers: [{ id: signer.id }, { name: 'PeterNeumann' }],
  });
});

for (const { what, note, problem } of [
  { what: 'another text', note: NOTE.replace('problem is', 'problem was'), problem: 'wrong signature' },
  { what: 'a signature with a bit changed', note: NOTE.replace('x08go/ZJ', 'x08go/ZK'), problem: 'wrong signature' },
  { what: 'a signature cut short', note: `${TEXT}\n— PeterNeumann x08goxxx\n`, problem: 'wrong signature' },
  { what: 'another key id', note: NOTE.replace('x08go', 'y08go'), problem: 'unknown key' },
  { what: 'another name', note: NOTE.replace('— Peter', '— Pater'), problem: 'unknown key' },
  { what: 'no signature', note: `${TEXT}\n`, problem: 'malformed' },
  { what: 'no empty line', note: TEXT, problem: 'malformed' },
  { what: 'no line feed at the end', note: NOTE.slice(0, -1), problem: 'malformed' },
  { what: 'a line that is no signature', note: `${NOTE}x\n`, problem: 'malformed' },
  { what: 'a hyphen in place of the dash', note: NOTE.replace('—', '-'), problem: 'malformed' },
  { what: 'a carriage return', note: NOTE.replace('\n', '\r\n'), problem: 'malformed' },
  { what: 'nothing', note: '', problem: 'malformed' },
]) {
  test(`a note with ${what} is not opened: ${problem}`, async (t) => {
    t.match(openNote(note, [parseVerifier(PETER) as Verifier]), { problem });
  });
}

for (const text of [
  '',
  'PeterNeumann',
  PETER.replace('c74f', 'c74e'),
  PETER.slice(0, -4),
  PETER.replace('+AR', '+BR'),
]) {
  test(`${JSON.stringify(text)} is no public key`, async (t) => {
    t.equal(parseVerifier(text), undefined);
  });
}

test('the example of c2sp.org/tlog-checkpoint is a checkpoint', async (t) => {
  const text = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
  const note = `${text}\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n`;
  const checkpoint = parseCheckpoint(parseNote(note)?.text ?? '');
  t.match(checkpoint, { origin: 'example.com/behind-the-sofa', size: 20_852_163 });
  t.equal(checkpoint && formatCheckpoint(checkpoint), text);
  t.equal(parseCheckpoint(`${text}an extension\n`)?.size, 20_852_163);
});

const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';

for (const text of [
  '',
  `a\n1\n${ROOT}`,
  `\n1\n${ROOT}\n`,
  `a\n01\n${ROOT}\n`,
  `a\n-1\n${ROOT}\n`,
  `a\n1e3\n${ROOT}\n`,
  `a\n9999999999999999\n${ROOT}\n`,
  `a\n1\n${ROOT.slice(4)}\n`,
  `a\n1\n${ROOT.replace('I=', 'J=')}\n`,
  `a\n1\n${ROOT}\n\n`,
]) {
  test(`${JSON.stringify(text)} is no checkpoint`, async (t) => {
    t.equal(parseCheckpoint(text), undefined);
  });
}
