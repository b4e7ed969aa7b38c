// The types of the two entries as users see them: each rolled up into one file that needs no other file of orch, a
// report of it for review, and a model of it for the reference. Every type that a signature names must be exported.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { CompilerState, Extractor, ExtractorConfig, ExtractorLogLevel } from '@microsoft/api-extractor';

/** The entries of the package. The wire is documented by subjects.md, the library by its own comments. */
const ENTRIES = [
  { name: 'index', source: 'index.d.ts', isDocumented: true },
  { name: 'protocol', source: 'protocol/index.d.ts', isDocumented: false },
];

/**
 * Returns for each entry its declarations, its report and its model. Throws what is wrong: a type that a signature
 * names and the entry does not export, or a part of the library without a comment.
 */
export function extractTypes() {
  mkdirSync('dist', { recursive: true });
  // Within the package, so that zod is found; outside of node_modules, which would make it another package.
  const folder = mkdtempSync(resolve('dist/.types-'));
  try {
    const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.types.json', '--outDir', folder];
    execFileSync(process.execPath, tsc, { stdio: 'inherit' });
    const configs = ENTRIES.map(entry => configOf(entry, folder));
    const compilerState = CompilerState.create(configs[0], {
      additionalEntryPoints: configs.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath),
    });
    const wrong = configs.flatMap(config => extract(config, compilerState));
    if (wrong.length > 0) throw new Error(`the types of the package are not complete:\n${wrong.join('\n')}`);
    return Object.fromEntries(
      configs.map((config, index) => [
        ENTRIES[index].name,
        {
          declarations: readFileSync(config.untrimmedFilePath, 'utf8'),
          report: readFileSync(config.reportFilePath, 'utf8'),
          model: JSON.parse(readFileSync(config.apiJsonFilePath, 'utf8')),
        },
      ]),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function configOf({ name, source, isDocumented }, folder) {
  const silent = { logLevel: ExtractorLogLevel.None };
  return ExtractorConfig.prepare({
    configObject: {
      projectFolder: resolve('.'),
      mainEntryPointFilePath: join(folder, source),
      compiler: {
        overrideTsconfig: {
          compilerOptions: {
            target: 'ES2023',
            lib: ['ES2023', 'ESNext.Disposable'],
            module: 'NodeNext',
            strict: true,
            types: ['node'],
            skipLibCheck: true,
          },
          files: [join(folder, source)],
        },
      },
      newlineKind: 'lf',
      apiReport: {
        enabled: true,
        reportFileName: `${name}.api.md`,
        reportFolder: folder,
        reportTempFolder: join(folder, 'temp'),
      },
      docModel: { enabled: true, apiJsonFilePath: join(folder, `${name}.api.json`) },
      dtsRollup: { enabled: true, untrimmedFilePath: join(folder, `${name}.rolled-up.d.ts`) },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: { logLevel: ExtractorLogLevel.Error } },
        extractorMessageReporting: {
          default: { logLevel: ExtractorLogLevel.Error },
          'ae-missing-release-tag': silent,
          ...(isDocumented ? {} : { 'ae-undocumented': silent }),
        },
        tsdocMessageReporting: { default: silent },
      },
    },
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve('package.json'),
  });
}

function extract(config, compilerState) {
  const wrong = [];
  Extractor.invoke(config, {
    compilerState,
    localBuild: true,
    messageCallback: message => {
      message.handled = true;
      const isWrong =
        message.logLevel === ExtractorLogLevel.Error || message.logLevel === ExtractorLogLevel.Warning;
      // The reports are new each time; they are compared elsewhere.
      if (isWrong && message.category !== 'console') wrong.push(`  ${message.text}`);
    },
  });
  return wrong;
}
