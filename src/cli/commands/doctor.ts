// `orch doctor`: findings with their next steps, and a line for each thing that is fine.
import { examine, type Severity } from '../../cluster/index.ts';
import { OrchError } from '../../protocol/index.ts';
import { command } from '../command.ts';
import { connectionArgs, jsonArg, withBus } from '../connection.ts';
import { colors, printJson, printLine, safe } from '../print.ts';

const MARKS: Record<Severity, string> = {
  error: colors.red('error  '),
  warning: colors.yellow('warning'),
  info: colors.green('ok     '),
};

export const doctor = command({
  details: 'Prints each finding with its next step. Exits with 3 when one of them is an error.',
  args: { ...jsonArg, ...connectionArgs },
  examples: ['orch doctor', 'orch doctor --json | jq \'.[] | select(.severity != "info")\''],
  async run(args) {
    const findings = await withBus(args, examine);
    if (args.json) printJson(findings);
    else
      for (const { subject, severity, message, advice } of findings) {
        printLine(`${MARKS[severity]}  ${subject.padEnd(7)}  ${safe(message)}`);
        if (advice !== undefined) printLine(colors.dim(`${' '.repeat(18)}${safe(advice)}`));
      }
    const errors = findings.filter(({ severity }) => severity === 'error').length;
    if (errors > 0)
      throw new OrchError('unsupported', `${errors} ${errors === 1 ? 'error' : 'errors'} found`);
  },
});
