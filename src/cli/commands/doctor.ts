// `orch doctor`: is everything as orch needs it?
import { examine } from '../../cluster/index.ts';
import { OrchError } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { colors, printJson, printLine, safe } from '../print.ts';

export const doctor = command({
  name: 'doctor',
  description:
    'Check the server, its version and storage, the streams, copies, lanes, nodes, versions, clocks and chores.',
  args: { ...jsonArg, ...connectionArgs },
  examples: ['orch doctor', 'orch doctor --json | jq \'.[] | select(.level != "ok")\''],
  async run(args) {
    const findings = await withBus(args, examine);
    if (args.json) printJson(findings);
    else {
      const mark = {
        ok: colors.green('ok     '),
        warning: colors.yellow('warning'),
        problem: colors.red('problem'),
      };
      for (const { check, level, text } of findings)
        printLine(`${mark[level]}  ${check.padEnd(10)}  ${safe(text)}`);
    }
    const problems = findings.filter(finding => finding.level === 'problem').length;
    if (problems > 0)
      throw new OrchError('unsupported', `${problems} ${problems === 1 ? 'problem' : 'problems'} found`);
  },
});
