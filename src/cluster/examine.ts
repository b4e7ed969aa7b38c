// What `orch doctor` reports: the findings that status shows too, and a line for each thing that was looked at and is
// as orch needs it.
import type { Bus } from '../bus/index.ts';
import { compareVersions, formatProtocol } from '../protocol/index.ts';
import { countOutsideLanes } from '../tasks/index.ts';
import { type ClusterFacts, readFacts, readServerFacts } from './facts.ts';
import { type Finding, info, type Rule, SUBJECTS, type Subject } from './finding.ts';
import { findingsIn } from './findings.ts';
import { clockSkews, liveRecords } from './node-rules.ts';
import { mebibytes } from './server-rules.ts';

/** All findings, by subject. Throws `unavailable`; a server on which orch was never used is no error. */
export async function examine(bus: Bus): Promise<Finding[]> {
  const streams = await bus.streams.inspect();
  const isComplete = streams.every(({ found }) => found);
  const facts = isComplete ? await readAll(bus) : await readServerFacts(bus, streams);
  const findings = findingsIn(facts);
  const fine = (isComplete ? SUMMARIES : SERVER_SUMMARIES)
    .flatMap(summary => summary(facts))
    .filter(line => !findings.some(found => isAbout(found, line)));
  return SUBJECTS.flatMap(subject => [...fine, ...findings].filter(found => found.subject === subject));
}

async function readAll(bus: Bus): Promise<ClusterFacts> {
  const facts = await readFacts(bus);
  return { ...facts, outsideLanes: await countOutsideLanes(bus, facts.lanes) };
}

// A summary of a whole subject goes when there is a finding on any part of it.
const isAbout = (found: Finding, summary: Finding): boolean =>
  found.subject === summary.subject && (summary.id === ALL || summary.id === found.id);

const ALL = 'all';
const summary = (subject: Subject, message: string, id = ALL): Finding => info(subject, id, message);

const serverSummary: Rule = ({ server: { name, url, cluster, rttMs } }) => [
  summary('server', `${name} at ${url}${cluster ? `, cluster ${cluster}` : ''}, ${rttMs} ms away`),
];

const versionSummary: Rule = ({ server: { version } }) => [
  summary('version', `nats-server ${version}`, 'nats-server'),
];

const storageSummary: Rule = ({ server: { storage, storageMax } }) => [
  summary(
    'storage',
    `${mebibytes(storage)} used${storageMax > 0 ? ` of ${mebibytes(storageMax)}` : ', no limit set'}`,
  ),
];

const streamSummaries: Rule = ({ streams }) =>
  streams.map(({ name, messages, bytes, replicas }) =>
    summary(
      'stream',
      `${name}: ${messages} messages, ${mebibytes(bytes)}, ${replicas} ${replicas === 1 ? 'replica' : 'replicas'}`,
      name,
    ),
  );

const laneSummary: Rule = ({ lanes }) => [summary('lane', `${lanes.length} lanes, all served`)];

const nodeSummary: Rule = ({ nodes, protocol }) => {
  const live = liveRecords(nodes);
  const versions = [...new Set(live.map(({ version }) => version))].sort(compareVersions).join(', ') || '-';
  return [summary('node', `${live.length} live, orch ${versions}, protocol ${formatProtocol(protocol)}`)];
};

const clockSummary: Rule = facts => {
  const skews = clockSkews(facts).map(({ ms }) => Math.abs(ms));
  return skews.length === 0
    ? []
    : [summary('clock', `no node's clock is more than ${Math.max(...skews)} ms off the server's`)];
};

const choresSummary: Rule = ({ chores }) => (chores ? [summary('chores', `done by ${chores.node}`)] : []);

const SERVER_SUMMARIES: readonly Rule[] = [serverSummary, versionSummary, storageSummary, streamSummaries];
const SUMMARIES: readonly Rule[] = [
  ...SERVER_SUMMARIES,
  laneSummary,
  nodeSummary,
  clockSummary,
  choresSummary,
];
