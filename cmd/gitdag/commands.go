package main

import "github.com/spf13/cobra"

// commands are the subcommands, one file each.
func (c *cli) commands() []*cobra.Command {
	return []*cobra.Command{
		c.agentCommand(),
		c.serverCommand(),
		c.schedulerCommand(),
		c.demoCommand(),
		c.runCommand(),
		c.checkCommand(),
		c.initCommand(),
		c.archiveCommand(),
		c.secretsCommand(),
		c.graphCommand(),
		c.schemaCommand(),
		c.statusCommand(),
		c.versionCommand(),
		c.pushCommand(),
		c.uploadCommand(),
		c.downloadCommand(),
		c.deleteCommand(),
		c.projectsCommand(),
		c.workflowsCommand(),
		c.startCommand(),
		c.retryCommand(),
		c.sessionsCommand(),
		c.attemptsCommand(),
		c.attemptCommand(),
		c.tasksCommand(),
		c.logCommand(),
		c.killCommand(),
		c.schedulesCommand(),
		c.backfillCommand(),
		c.rescheduleCommand(),
		c.disableCommand(),
		c.enableCommand(),
		c.syncCommand(),
		c.journalCommand(),
		c.fetchChildCommand(),
	}
}
