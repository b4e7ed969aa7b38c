// Three nats-servers of one cluster on loopback, of which one can be killed and started again.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { freePorts, type ServerProcess, startServer } from '../../src/server/index.ts';

const SIZE = 3;
const FORM_MS = 60_000;

interface Member {
  dataDir: string;
  extraConfig: string;
  process: ServerProcess;
}

export interface Cluster {
  urls: string[];
  /** Of its first server. */
  pid: number;
  /** Kills the server that leads the stream; returns when it is gone, with what starts it again. */
  killLeader(stream: string): Promise<() => Promise<void>>;
  /** Returns when every stream has its leader and all of its copies up to date. */
  healthy(): Promise<void>;
  stop(): Promise<void>;
}

/** Returns when the cluster makes streams. */
export async function startCluster(binary: string, dataDir: string, sync: string): Promise<Cluster> {
  const members: Member[] = [];
  const stop = async () => {
    await Promise.all(members.map(member => member.process.stop()));
  };
  try {
    const ports = await freePorts(SIZE);
    const routes = ports.map(port => `nats://127.0.0.1:${port}`).join(', ');
    for (const [index, port] of ports.entries()) {
      const extraConfig = `cluster { name: bench, listen: "127.0.0.1:${port}", routes: [${routes}] }`;
      const folder = join(dataDir, `member-${index}`);
      const process = await startServer({ binary, dataDir: folder, port: 0, sync, extraConfig });
      members.push({ dataDir: folder, extraConfig, process });
    }
    await isHealthy(members.map(member => member.process.url));
  } catch (error) {
    await stop();
    throw error;
  }
  const urls = members.map(member => member.process.url);
  return {
    urls,
    pid: members[0]?.process.pid ?? 0,
    stop,
    healthy: () => isHealthy(urls),
    killLeader: async stream => {
      const leader = await leaderOf(urls, stream);
      const member = members.find(({ process }) => leader === `orch-${process.port}`);
      if (!member) throw new Error(`stream ${stream} has no leader`);
      const { port, pid, exited } = member.process;
      process.kill(pid, 'SIGKILL');
      await exited;
      return async () => {
        const { dataDir, extraConfig } = member;
        member.process = await startServer({ binary, dataDir, port, sync, extraConfig });
      };
    },
  };
}

async function leaderOf(urls: string[], stream: string): Promise<string | undefined> {
  const nc = await connect({ servers: urls });
  try {
    return (await (await jetstreamManager(nc, { checkAPI: false })).streams.info(stream)).cluster?.leader;
  } finally {
    await nc.close();
  }
}

async function isHealthy(urls: string[]): Promise<void> {
  const deadline = performance.now() + FORM_MS;
  let why = 'unknown';
  while (performance.now() < deadline) {
    const nc = await connect({ servers: urls });
    try {
      const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 2_000 });
      const streams = await manager.streams.list().next();
      const ill = streams.filter(({ config, cluster }) => {
        const current = (cluster?.replicas ?? []).filter(replica => replica.current && !replica.offline);
        return config.num_replicas > 1 && (!cluster?.leader || current.length < config.num_replicas - 1);
      });
      if (ill.length === 0) return;
      why = `${ill.map(({ config }) => config.name).join(', ')} not complete`;
    } catch (error) {
      why = String(error);
    } finally {
      await nc.close();
    }
    await sleep(100);
  }
  throw new Error(`the cluster was not healthy within ${FORM_MS / 1_000}s: ${why}`);
}
