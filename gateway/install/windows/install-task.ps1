# Registers the gateway as a task that starts with the machine. Run as administrator.
param(
  [Parameter(Mandatory = $true)][string]$Config,
  [string]$TaskName = 'PenstockGateway',
  [string]$User = 'NT AUTHORITY\LOCAL SERVICE',
  [string]$Node = (Get-Command node -ErrorAction Stop).Source
)
$ErrorActionPreference = 'Stop'
$Config = (Resolve-Path $Config).Path
$main = Join-Path $PSScriptRoot 'lib\main.js'
$log = Join-Path (Split-Path $Config) 'gateway.log'

& $Node $main check $Config --offline
if ($LASTEXITCODE -ne 0) { throw "The configuration has problems; see above. No task was registered." }

$command = "/d /s /c `"`"$Node`" --max-semi-space-size=8 `"$main`" run `"$Config`" --log json >> `"$log`" 2>&1`""
$action = New-ScheduledTaskAction -Execute "$env:SystemRoot\System32\cmd.exe" -Argument $command -WorkingDirectory (Split-Path $Config)
$trigger = New-ScheduledTaskTrigger -AtStartup
$settings = New-ScheduledTaskSettingsSet -AllowStartIfOnBatteries -DontStopIfGoingOnBatteries -StartWhenAvailable `
  -ExecutionTimeLimit ([TimeSpan]::Zero) -RestartCount 999 -RestartInterval (New-TimeSpan -Minutes 1) -MultipleInstances IgnoreNew
$principal = New-ScheduledTaskPrincipal -UserId $User -LogonType ServiceAccount
Register-ScheduledTask -TaskName $TaskName -Action $action -Trigger $trigger -Settings $settings -Principal $principal -Force | Out-Null
Start-ScheduledTask -TaskName $TaskName
Write-Output "The task $TaskName is registered and started. Its output: $log"
